"""Services in front of the agents while a sweep measures through them: made when needed, waited for, removed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from netmesh_controller.engines.measure import AgentHandle, Attempt
from netmesh_controller.engines.reach import service_ready
from netmesh_controller.inventory.services import MakerError, ServiceMaker
from netmesh_controller.mesh.document import Reason

log = logging.getLogger(__name__)

# More would be a load on every node's kube-proxy, and on what watches Services.
MOST_SERVICES = 50
READY_SECONDS = 30.0


@dataclass(slots=True)
class _Held:
    """One Service: to which agent, its virtual addresses, who uses it now, which sources it is known to serve."""

    name: str
    target: tuple[str, str]
    pod: Mapping[int, str]
    addresses: Mapping[int, str] = field(default_factory=dict)
    users: int = 0
    reached: set[tuple[tuple[str, str], int]] = field(default_factory=set)


class ServicePaths:
    """The Services of one run, at most `MOST_SERVICES` at a time; those that nobody uses give way.

    `note` is called with how many were made so far, and the most at a time.
    """

    def __init__(self, maker: ServiceMaker, run: str, note: Callable[[int, int], None] = lambda _, __: None) -> None:
        self._maker = maker
        self._run = run
        self._note = note
        self._held: dict[tuple[str, str], _Held] = {}
        self._room = asyncio.Condition()
        self.made = 0
        self.most = 0

    async def through(self, attempt: Attempt) -> Reason | None:
        """Sets the virtual addresses of the attempt's links that lead through Services; why not, where one does not.

        `done` gives them back, whatever this returned.
        """
        links = list(attempt.links)
        for place, link in enumerate(links):
            if link.target is None or link.address:
                continue
            try:
                held = await self._use(link.target)
            except MakerError as error:
                return Reason(code="service_not_ready", message=str(error))
            attempt.held.append(link.target.name)
            address = held.addresses.get(link.spec.family)
            if address is None:
                message = f"the cluster gives Services no IPv{link.spec.family} address"
                return Reason(code="not_supported", message=message)
            reason = await self._reached(held, link.source, link.target, address, link.spec.family)
            if reason is not None:
                return reason
            links[place] = replace(link, address=address)
        attempt.links = tuple(links)
        return None

    async def done(self, attempt: Attempt) -> None:
        """The attempt needs its Services no more; they stay for the next until their place is needed."""
        async with self._room:
            for name in attempt.held:
                if name in self._held:
                    self._held[name].users -= 1
            attempt.held.clear()
            self._room.notify_all()

    async def close(self) -> None:
        """Removes all of them."""
        held, self._held = list(self._held.values()), {}
        for start in range(0, len(held), 10):
            await asyncio.gather(*(self._maker.remove(one.name) for one in held[start : start + 10]))

    async def _use(self, target: AgentHandle) -> _Held:
        async with self._room:
            while True:
                held = self._held.get(target.name)
                if held is not None and held.pod == target.addresses:
                    held.users += 1
                    # The last used is the last to give way.
                    self._held[target.name] = self._held.pop(target.name)
                    return held
                if held is None and len(self._held) < MOST_SERVICES:
                    break
                idle = held if held is not None else next((one for one in self._held.values() if not one.users), None)
                if idle is None or idle.users:
                    await self._room.wait()
                    continue
                del self._held[idle.target]
                await self._maker.remove(idle.name)
            name = _name(self._run, *target.name, self.made)
            held = _Held(name, target.name, dict(target.addresses), users=1)
            held.addresses = await self._maker.make(name, self._run, target.node, target.addresses)
            self._held[target.name] = held
            self.made += 1
            self.most = max(self.most, len(self._held))
            self._note(self.made, self.most)
            return held

    async def _reached(
        self, held: _Held, source: AgentHandle, target: AgentHandle, address: str, family: int
    ) -> Reason | None:
        """Waits until the source's node leads to the target through the Service, which takes kube-proxy a moment."""
        if (source.name, family) in held.reached:
            return None
        reason = await service_ready(source.client, target.client, address, timeout_seconds=READY_SECONDS)
        if reason is None:
            held.reached.add((source.name, family))
        return reason


def _name(run: str, node: str, role: str, number: int) -> str:
    """A Service's name: a DNS label (RFC 1035) of its own for each that is made."""
    digest = hashlib.sha256(f"{run}/{node}/{role}/{number}".encode()).hexdigest()[:12]
    return f"netmesh-path-{digest}"
