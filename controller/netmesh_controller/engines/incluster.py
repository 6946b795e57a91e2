"""The source of agents of a controller in a cluster: what it watches, who it is, what a run says of the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from netmesh_common.tls import CertificateError, Certificates
from netmesh_controller.clients.cluster import Cluster, connect
from netmesh_controller.clients.cluster.facts import configured_proxy_mode, server_version
from netmesh_controller.engines.identity import IdentityKeeper
from netmesh_controller.identity.rotation import Lifetimes
from netmesh_controller.inventory.kubernetes import KubernetesInventory
from netmesh_controller.inventory.located import InventoryError, Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.network import agreed, cni_of

IDENTITY_SECONDS = 30.0


class Mesh:
    """netmesh in one cluster, while `running`."""

    def __init__(self, lifetimes: Lifetimes | None = None) -> None:
        self._lifetimes = lifetimes
        self._cluster: Cluster | None = None
        self._inventory: KubernetesInventory | None = None
        self._identity: IdentityKeeper | None = None
        self.facts: dict[str, Any] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects, watches, and keeps the certificates; ClusterError where there is no cluster to be found."""
        async with AsyncExitStack() as stack:
            self._cluster = await stack.enter_async_context(await connect())
            self._identity = await stack.enter_async_context(IdentityKeeper(self._cluster, self._lifetimes))
            self._inventory = await stack.enter_async_context(KubernetesInventory(self._cluster))
            yield

    @property
    def presence(self) -> KubernetesInventory:
        """What is watched; InventoryError where it is not running."""
        if self._inventory is None:
            raise InventoryError("the cluster is not watched yet")
        return self._inventory

    def certificates(self) -> Certificates:
        """The controller's certificate as it is now; CertificateError where there is none yet."""
        if self._identity is None:
            raise CertificateError("certificates: there are none yet")
        return self._identity.certificates()

    async def locate(self) -> list[Located]:
        """The agents as they are now, and `facts` anew; InventoryError or CertificateError where they cannot be had."""
        found = await self.presence.locate()
        if self._identity is not None:
            try:
                async with asyncio.timeout(IDENTITY_SECONDS):
                    await self._identity.ready()
            except TimeoutError:
                self._identity.certificates()  # says why
        self.facts["kubernetes"] = await self._kubernetes()
        return found

    async def _kubernetes(self) -> dict[str, Any]:
        if self._cluster is None:
            return {}
        version, mode = await asyncio.gather(server_version(self._cluster), configured_proxy_mode(self._cluster))
        members = self.presence.members
        return {
            "version": version,
            "kube_proxy_mode": mode,
            "cni": agreed(
                {one.name: cni_of((*one.annotations, *one.labels), one.network) for one in members if one.measurable}
            ),
        }


def cluster_source(lifetimes: Lifetimes | None = None) -> Source:
    """The agents of the cluster that this process runs in."""
    mesh = Mesh(lifetimes)
    return Source(
        mesh.locate,
        mesh.certificates,
        {"kubernetes": "in-cluster"},
        mesh.facts,
        running=mesh.running,
        presence=lambda: mesh.presence,
    )
