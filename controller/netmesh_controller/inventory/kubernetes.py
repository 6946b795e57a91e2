"""Agents of a cluster, by watching its nodes and the agents' pods: nothing is polled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.cluster import Cluster, ClusterError, Forbidden, NotFound
from netmesh_controller.clients.cluster.connection import Backoff
from netmesh_controller.clients.cluster.rights import may
from netmesh_controller.clients.cluster.watching import Changed, Listed, follow
from netmesh_controller.inventory import reduction
from netmesh_controller.inventory.located import InventoryError, Located
from netmesh_controller.inventory.members import AGENTS_SELECTOR, Member
from netmesh_controller.inventory.reduction import Known

log = logging.getLogger(__name__)

FIRST_LIST_SECONDS = 30.0
# How often it is asked whether the host agents' namespace has been granted: rights cannot be watched.
HOST_RIGHTS_SECONDS = 10.0


class KubernetesInventory:
    """The nodes and agents that there are now; a `Presence` for sweeps. Used as an asynchronous context.

    Host agents are in a namespace of their own, `NAMESPACE-host`, which may not be there.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known = Known()
        self._version = 0
        self._changed = asyncio.Event()
        self._listed: set[str] = set()
        self._failed: dict[str, ClusterError] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def host_namespace(self) -> str:
        """Where host agents are."""
        return f"{self._cluster.namespace}-host"

    async def __aenter__(self) -> KubernetesInventory:
        namespace = self._cluster.namespace
        self._start(self._follow("/api/v1/nodes", {}, self._apply_nodes), "nodes")
        self._start(self._follow(*_pods(namespace), lambda event: self._apply_pods(namespace, event)), "pods")
        self._start(self._follow_host_pods(), "host pods")
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancelled(*self._tasks)

    def _start(self, coroutine: Coroutine[Any, Any, None], what: str) -> None:
        self._tasks.append(guarded_task(coroutine, name=f"watch of {what}", lasting=True))

    async def locate(self) -> list[Located]:
        """The agents as they are now; InventoryError where Kubernetes cannot tell, or may not."""
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                while not ({"nodes", "pods"} <= self._listed or self._failed):
                    await self._changed.wait()
        except TimeoutError:
            raise InventoryError(
                f"the API server at {self._cluster.server} has not listed nodes and pods in {FIRST_LIST_SECONDS:.0f} s"
            ) from None
        if not {"nodes", "pods"} <= self._listed:
            why = "; ".join(str(error) for error in self._failed.values())
            raise InventoryError(f"nodes and pods cannot be watched: {why}")
        return reduction.located(self._known)

    @property
    def members(self) -> tuple[Member, ...]:
        """The nodes that there are now."""
        return tuple(self._known.nodes.values())

    # Presence.

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    async def changed(self, seen: int) -> int:
        """Returns the version once it is above `seen`."""
        while self._version <= seen:
            await self._changed.wait()
        return self._version

    def away(self, node: str) -> str | None:
        """Why a node was or is being removed; None where it is there."""
        return reduction.away(self._known, node)

    def excuse(self, node: str) -> str | None:
        """Why it is no failure if a node's agent does not answer; None where it is one."""
        return reduction.excuse(self._known, node)

    def agent(self, node: str, role: str) -> Located | None:
        """Where an agent is now; None where there is none that could be asked."""
        return reduction.agent(self._known, node, role)

    def joined(self, known: frozenset[str]) -> frozenset[str]:
        """The nodes with an agent that are not among `known`."""
        return frozenset(pod.node for pod in self._known.pods.values() if pod.role == "pod" and pod.ready) - known

    # Watches.

    def _update(self, known: Known, listed: str | None = None) -> None:
        self._known = known
        self._version += 1
        if listed is not None:
            self._listed.add(listed)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _apply_nodes(self, event: Listed | Changed) -> None:
        match event:
            case Listed():
                self._update(self._known.nodes_listed(event.items), "nodes")
            case Changed():
                self._update(self._known.node_changed(event.kind, event.item))

    def _apply_pods(self, namespace: str, event: Listed | Changed) -> None:
        match event:
            case Listed():
                listed = "pods" if namespace == self._cluster.namespace else None
                self._update(self._known.pods_listed(namespace, event.items), listed)
            case Changed():
                self._update(self._known.pod_changed(event.kind, event.item))

    async def _follow(self, path: str, selector: dict[str, str], apply: Callable[[Listed | Changed], None]) -> None:
        pause = Backoff()
        while True:
            try:
                async with aclosing(follow(self._cluster, path, selector=selector)) as events:
                    async for event in events:
                        self._failed.pop(path, None)
                        pause = Backoff()
                        apply(event)
            except ClusterError as error:
                # An API server that starts refuses everything for a moment, before it has read who may do what. What
                # was known stays; where nothing is known yet, those who ask are told.
                log.warning("%s cannot be watched: %s", path, error)
                self._failed[path] = error
                self._wake()
            await asyncio.sleep(pause.next())

    async def _follow_host_pods(self) -> None:
        namespace = self.host_namespace
        path, selector = _pods(namespace)
        while True:
            try:
                # Asked, and not tried: a call that is refused would stand in the cluster's audit log.
                if await may(self._cluster, "watch", "pods", namespace):
                    async with aclosing(follow(self._cluster, path, selector=selector)) as events:
                        async for event in events:
                            self._apply_pods(namespace, event)
            except (Forbidden, NotFound) as error:
                log.info("no host agents any more: %s", error)
                self._update(self._known.pods_listed(namespace, ()))
            except ClusterError as error:
                log.info("it cannot be told whether there are host agents: %s", error)
            await asyncio.sleep(HOST_RIGHTS_SECONDS)


def _pods(namespace: str) -> tuple[str, dict[str, str]]:
    return f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": AGENTS_SELECTOR}
