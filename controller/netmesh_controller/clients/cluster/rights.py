"""What this account may do, as the API server tells everybody about themselves."""

from __future__ import annotations

from netmesh_controller.clients.cluster.connection import Cluster

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def may(cluster: Cluster, verb: str, resource: str, namespace: str) -> bool:
    """Whether this account may `verb` the resource in the namespace; every account may ask that of itself."""
    attributes = {"verb": verb, "resource": resource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await cluster.call("POST", _PATH, body=review)
    return bool(answer["status"]["allowed"])
