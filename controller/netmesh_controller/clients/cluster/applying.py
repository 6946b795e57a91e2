"""Objects of any kind put into a cluster and taken out of it: server-side apply, and deletion."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from netmesh_controller.clients.cluster.connection import Cluster, Object
from netmesh_controller.clients.cluster.errors import ClusterError, NotFound

log = logging.getLogger(__name__)

FIELD_MANAGER = "netmesh-controller"
_APPLY = "application/apply-patch+yaml"


class Applier:
    """Applies and removes objects of one cluster; what kinds there are is asked of it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    async def apply(self, thing: Object) -> Object:
        """Makes the object what it should be (server-side apply); the object as it is then. ClusterError."""
        path = await self.path(thing)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._cluster.call("PATCH", path, query=query, body=thing, content_type=_APPLY, seconds=30.0)

    async def get(self, thing: Object) -> Object | None:
        """The object as it is now, None where there is none."""
        try:
            return await self._cluster.call("GET", await self.path(thing), retry_seconds=10.0)
        except NotFound:
            return None

    async def remove(self, thing: Object) -> bool:
        """Deletes the object, and what it owns after it; False where there was none."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            await self._cluster.call("DELETE", await self.path(thing), body=options, seconds=30.0)
        except NotFound:
            return False
        return True

    async def path(self, thing: Mapping[str, object]) -> str:
        """Where the object is in the API. NotFound where the cluster has no such kind."""
        version, kind = str(thing["apiVersion"]), str(thing["kind"])
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if version not in self._kinds:
            self._kinds[version] = await self._discovered(base)
        if kind not in self._kinds[version]:
            raise NotFound(f"the cluster has no {kind} of {version}", 404)
        plural, namespaced = self._kinds[version][kind]
        metadata = thing["metadata"]
        if not isinstance(metadata, dict):
            raise ClusterError(f"{kind}: metadata: it is missing")
        within = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        return f"{base}{within}/{plural}/{metadata['name']}"

    async def _discovered(self, base: str) -> dict[str, tuple[str, bool]]:
        found = await self._cluster.call("GET", base, retry_seconds=10.0)
        return {one["kind"]: (one["name"], one["namespaced"]) for one in found["resources"] if "/" not in one["name"]}
