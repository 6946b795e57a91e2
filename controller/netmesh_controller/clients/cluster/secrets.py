"""Secrets by name: read, made, changed; never listed, so that no other Secret of the namespace is seen."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from netmesh_controller.clients.cluster.connection import Cluster, Object
from netmesh_controller.clients.cluster.errors import NotFound

RETRY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret's data, and the version of the object that it was read from."""

    data: Mapping[str, bytes]
    version: str


async def read_secret(cluster: Cluster, namespace: str, name: str) -> Secret | None:
    """The Secret, or None where there is none."""
    try:
        found = await cluster.call("GET", f"{_path(namespace)}/{name}", retry_seconds=RETRY_SECONDS)
    except NotFound:
        return None
    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return Secret(data, found["metadata"]["resourceVersion"])


async def write_secret(
    cluster: Cluster,
    namespace: str,
    name: str,
    data: Mapping[str, bytes],
    *,
    kind: str,
    component: str,
    seen: Secret | None,
) -> None:
    """Makes the Secret, or changes the one that was `seen`; Conflict where it is not as it was seen any more."""
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "labels": {"app.kubernetes.io/name": "netmesh", "app.kubernetes.io/component": component},
    }
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": metadata,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    if seen is None:
        await cluster.call("POST", _path(namespace), body=body)
    else:
        metadata["resourceVersion"] = seen.version
        await cluster.call("PUT", f"{_path(namespace)}/{name}", body=body)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets"
