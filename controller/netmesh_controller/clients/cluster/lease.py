"""One leader at a time, by a Lease (coordination.k8s.io/v1), in the manner of client-go's leader election.

The client library's own election does not serve: it sets no `leaseTransitions`, which is the term that agents hold
calls against; its calls have no deadline, so that a leader whose call hangs goes on leading; and it measures time on
the wall clock. Here time is this machine's monotonic clock: a candidate takes a Lease that it has not seen change for
the Lease's duration, and a leader gives up `renew_seconds` after the beginning of its last renewal that succeeded,
which is sooner, so that it stops before another may start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from netmesh_controller.clients.cluster.connection import Cluster, Object
from netmesh_controller.clients.cluster.errors import ClusterError, Conflict, NotFound

log = logging.getLogger(__name__)

LEASE_NAME = "netmesh-controller"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. After a leader's death another leads within `lease_seconds`, twice `retry_seconds` and two calls."""

    lease_seconds: int = 9
    renew_seconds: float = 6.0
    retry_seconds: float = 1.5
    call_seconds: float = 3.0


class Lease:
    """This process's part in the election; `identity` must be of this process alone, not of its pod.

    `term` is the Lease's transitions as this leader made them; it rises with each leader. `leader` is who leads as far
    as is known here, None where nobody does.
    """

    def __init__(self, cluster: Cluster, identity: str, *, name: str = LEASE_NAME, times: Times | None = None) -> None:
        self._cluster = cluster
        self._name = name
        self._times = times or Times()
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases"
        self._seen: Object | None = None
        self._seen_at = 0.0
        self.identity = identity
        self.leading = False
        self.leader: str | None = None
        self.term = 0

    async def run(
        self, on_lead: Callable[[int], Awaitable[None]], on_stand_by: Callable[[str | None], Awaitable[None]]
    ) -> None:
        """Takes part until it is cancelled, and then gives the Lease back.

        `on_lead` is called with the term and must return at once; `on_stand_by` when the Lease is lost, or cannot be
        renewed, and must return when nothing is done in its name any more.
        """
        try:
            while True:
                await self._acquire()
                log.warning("%s leads, term %d", self.identity, self.term)
                self.leading = True
                try:
                    await on_lead(self.term)
                    await self._renew_until_lost()
                    log.warning("%s leads no more, term %d", self.identity, self.term)
                finally:
                    self.leading = False
                    await on_stand_by(self.leader)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._release()))
            raise

    async def _acquire(self) -> None:
        while True:
            try:
                if await self._try_to_acquire():
                    return
            except ClusterError as error:
                log.warning("the Lease %s cannot be had: %s", self._name, error)
            await asyncio.sleep(self._times.retry_seconds)

    async def _try_to_acquire(self) -> bool:
        try:
            found = await self._call("GET", self._name)
        except NotFound:
            # Above every term that this process knows, and above that of a controller without a Lease.
            return await self._write("POST", self._fresh({"metadata": self._metadata()}, self.term + 1))
        if self._seen is None or found["metadata"]["resourceVersion"] != self._seen["metadata"]["resourceVersion"]:
            self._seen, self._seen_at = found, time.monotonic()
        spec = found.get("spec") or {}
        self.leader = spec.get("holderIdentity") or None
        duration = float(spec.get("leaseDurationSeconds") or self._times.lease_seconds)
        if self.leader is not None and time.monotonic() < self._seen_at + duration:
            return False
        term = max(int(spec.get("leaseTransitions") or 0), self.term) + 1
        return await self._write("PUT", self._fresh(found, term))

    async def _renew_until_lost(self) -> None:
        renewed = self._seen_at
        while True:
            await asyncio.sleep(min(self._times.retry_seconds, max(0.0, self._left(renewed))))
            begun = time.monotonic()
            if self._left(renewed) <= 0:
                log.error("the Lease %s could not be renewed for %.0f s", self._name, self._times.renew_seconds)
                self.leader = None
                return
            try:
                if not await self._renew(self._left(renewed)):
                    return
                renewed = begun
            except ClusterError as error:
                log.warning("the Lease %s is not renewed: %s", self._name, error)

    def _left(self, renewed: float) -> float:
        return renewed + self._times.renew_seconds - time.monotonic()

    async def _renew(self, seconds: float) -> bool:
        """Whether this process still leads; a call that would answer too late is given up."""
        held = self._seen
        if held is None:
            return False
        for lease in (held, None):
            try:
                body = lease or await self._call("GET", self._name, seconds=seconds)
                if not self._is_mine(body):
                    self.leader = (body.get("spec") or {}).get("holderIdentity") or None
                    return False
                renewed = {**body, "spec": {**body["spec"], "renewTime": _now()}}
                self._seen = await self._call("PUT", self._name, renewed, seconds)
            except NotFound:
                self.leader = None
                return False
            except Conflict:
                # It has changed: an earlier call was carried out though its answer never came, or it is lost.
                continue
            return True
        raise ClusterError(f"the Lease {self._name} changes faster than it is renewed")

    def _is_mine(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        return spec.get("holderIdentity") == self.identity and int(spec.get("leaseTransitions") or 0) == self.term

    def _fresh(self, lease: Object, term: int) -> Object:
        now = _now()
        return {
            **lease,
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self._times.lease_seconds,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": term,
            },
        }

    def _metadata(self) -> dict[str, Any]:
        labels = {"app.kubernetes.io/name": "netmesh", "app.kubernetes.io/component": "controller"}
        return {"name": self._name, "namespace": self._cluster.namespace, "labels": labels}

    async def _write(self, method: str, lease: Object) -> bool:
        begun = time.monotonic()
        try:
            written = await self._call(method, "" if method == "POST" else self._name, lease)
        except Conflict:
            return False  # another was faster
        self._seen, self._seen_at = written, begun
        self.leader = self.identity
        self.term = int(written["spec"]["leaseTransitions"])
        return True

    async def _release(self) -> None:
        """Gives the Lease back where it is this process's, so that nobody has to wait for its end."""
        held = self._seen
        if held is None or (held.get("spec") or {}).get("holderIdentity") != self.identity:
            return
        spec = {**held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            await self._call("PUT", self._name, {**held, "spec": spec})
        except ClusterError as error:
            log.warning("the Lease %s is not given back and runs out by itself: %s", self._name, error)

    async def _call(self, method: str, name: str, body: Object | None = None, seconds: float | None = None) -> Object:
        path = f"{self._path}/{name}" if name else self._path
        limit = min(self._times.call_seconds, seconds if seconds is not None else self._times.call_seconds)
        return await self._cluster.call(method, path, body=body, seconds=limit)


def _now() -> str:
    """MicroTime of the API's meta/v1."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
