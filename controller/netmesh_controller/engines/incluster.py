"""The source of agents of a controller in a cluster: what it watches, who it is, what a run says of the cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_common.tls import CertificateError, Certificates
from netmesh_controller.clients.cluster import Cluster, ClusterError, connect
from netmesh_controller.clients.cluster.connection import Backoff
from netmesh_controller.clients.cluster.facts import configured_proxy_mode, server_version
from netmesh_controller.clients.cluster.services import Made, Owner, make_service, remove_leftovers, remove_service
from netmesh_controller.engines.identity import IdentityKeeper
from netmesh_controller.identity.rotation import Lifetimes
from netmesh_controller.inventory.kubernetes import KubernetesInventory
from netmesh_controller.inventory.located import InventoryError, Located
from netmesh_controller.inventory.services import MakerError
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.network import agreed, cni_of

log = logging.getLogger(__name__)

IDENTITY_SECONDS = 30.0
TIDY_SECONDS = 30.0


class Mesh:
    """netmesh in one cluster, while `running`. One that `stays` first removes what an earlier process left behind."""

    def __init__(self, lifetimes: Lifetimes | None = None, *, stays: bool = False) -> None:
        self._lifetimes = lifetimes
        self._stays = stays
        self._owner = Owner.this_pod()
        self._made: dict[str, Made] = {}
        self._left: list[Made] = []
        self._tidying: asyncio.Task[None] | None = None
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
            if self._stays:
                self._tidying = guarded_task(self._tidy(self._cluster), name="leftovers")
                stack.push_async_callback(cancelled, self._tidying)
            yield

    async def _tidy(self, cluster: Cluster) -> None:
        pause = Backoff()
        while True:
            try:
                await remove_leftovers(cluster, self._owner)
            except ClusterError as error:
                log.warning("it cannot be told yet whether Services were left behind: %s", error)
                await asyncio.sleep(pause.next(error))
            else:
                return

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

    async def make(self, name: str, run: str, node: str, addresses: Mapping[int, str]) -> Mapping[int, str]:
        """Makes a Service for a run; MakerError where it cannot be had."""
        if self._cluster is None:
            raise MakerError("the cluster is not connected")
        await self._tidied()
        try:
            made = await make_service(self._cluster, name, run=run, node=node, addresses=addresses, owner=self._owner)
        except ClusterError as error:
            raise MakerError(f"no Service to {node} could be made: {error}") from error
        self._made[name] = made
        return made.addresses

    async def remove(self, name: str) -> None:
        """Removes a Service that was made here; if it cannot be now, it is tried again before the next is made."""
        made = self._made.pop(name, None)
        if made is None or self._cluster is None:
            return
        try:
            await remove_service(self._cluster, made)
        except ClusterError as error:
            log.warning("Service %s is left for now: %s", name, error)
            self._left.append(made)

    async def _tidied(self) -> None:
        """What is left of earlier runs and processes is gone when this returns, as far as it can be had."""
        if self._tidying is not None:
            try:
                async with asyncio.timeout(TIDY_SECONDS):
                    # Not meanwhile: it would take what is made now for a leftover.
                    await asyncio.shield(self._tidying)
            except TimeoutError:
                raise MakerError("Services of an earlier process could not be looked for yet") from None
        left, self._left = self._left, []
        for made in left:
            self._made[made.name] = made
            await self.remove(made.name)

    async def locate(self) -> list[Located]:
        """The agents as they are now; InventoryError or CertificateError where they cannot be had."""
        found = await self.presence.locate()
        if self._identity is not None:
            try:
                async with asyncio.timeout(IDENTITY_SECONDS):
                    await self._identity.ready()
            except TimeoutError:
                self._identity.certificates()  # says why
        return found

    async def refresh(self) -> None:
        """Reads what a run says of the cluster: before each run, and not each time that somebody looks who is there."""
        self.facts["kubernetes"] = await self._kubernetes()

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


def cluster_source(lifetimes: Lifetimes | None = None, *, stays: bool = False) -> Source:
    """The agents of the cluster that this process runs in, for a command or for a controller that `stays`."""
    mesh = Mesh(lifetimes, stays=stays)
    return Source(
        mesh.locate,
        mesh.certificates,
        {"kubernetes": "in-cluster"},
        mesh.facts,
        running=mesh.running,
        presence=lambda: mesh.presence,
        maker=lambda: mesh,
        refresh=mesh.refresh,
    )
