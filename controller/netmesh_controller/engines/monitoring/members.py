"""The agents that take part in monitoring: who is there, and what of each was seen last."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netmesh_controller.clients.agents import AgentClient, AgentError
from netmesh_controller.clients.stamp import Probing
from netmesh_controller.engines.measure import addresses_of
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.hostsamples import Sample

# Kept reports are of one of the last configurations: a turn is longer than what is on the way.
_VERSIONS = 8
# So many agents are asked at a time.
_AT_ONCE = 64


@dataclass(slots=True, eq=False)
class Member:
    """An agent of the mesh. `versions` has whom it probed under each of its last configurations.

    From `silent_from` to `silent_to` (seconds since 1970) its agent was away: it ended, or the connection to it.
    `instance` and `window` are the last window that was taken, which was of the base window `base`; `told` is what its
    `process` was configured with. `clock` says what is wrong with its host's clock, while that is. `late_at` is when a
    report came that was too late for its window (of the monotonic clock).
    """

    node: str
    client: AgentClient
    zone: str | None
    address: str
    addresses: Mapping[int, str]
    all_addresses: tuple[str, ...]
    stamp_port: int | None
    boot_id: str | None
    versions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    instance: str = ""
    window: int = 0
    base: int = 0
    clock: str | None = None
    late_at: float = -math.inf
    process: str = ""
    told: Probing | None = None
    reason: Reason | None = None
    sample: Sample | None = None
    task: asyncio.Task[None] | None = None
    fresh_until: float = 0.0
    silent_from: float = -math.inf
    silent_to: float = -math.inf

    def is_heard(self, now: float) -> None:
        """It told something at that time."""
        self.reason = None
        self.silent_to = min(self.silent_to, now)

    def is_silent(self, now: float) -> None:
        """It tells nothing from that time on."""
        if self.silent_to <= now:
            self.silent_from, self.silent_to = now, math.inf

    def forget_times(self, now: float) -> None:
        """The clock by which times were noted was set."""
        self.base = 0
        silent = self.silent_to == math.inf
        self.silent_from, self.silent_to = (now, math.inf) if silent else (-math.inf, -math.inf)

    def was_silent(self, begin: float, end: float) -> bool:
        """Whether it was away in some of that time."""
        return self.silent_from < end and self.silent_to >= begin

    def remember(self, version: int, peers: tuple[str, ...]) -> None:
        """Whom it probes under a version of its configuration; the oldest is forgotten."""
        self.versions[version] = peers
        while len(self.versions) > _VERSIONS:
            del self.versions[min(self.versions)]


@dataclass(frozen=True, slots=True)
class Found:
    """Who is there now: members by node, and nodes that cannot be asked, each with its zone and reason."""

    members: dict[str, Member]
    missing: dict[str, tuple[str | None, Reason]]


class Members:
    """The node agents of a source. An agent whose address did not change is asked once for what it is."""

    def __init__(self, source: Source, term: int) -> None:
        self._source = source
        self._term = term
        self._by_address: dict[str, Member] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def look(self) -> Found:
        """Who is there now; InventoryError where the source cannot tell."""
        located = [one for one in await self._source.locate() if one.role in (None, "pod")]
        missing: dict[str, tuple[str | None, Reason]] = {}
        asked: list[Located] = []
        for one in located:
            if one.away is not None:
                missing[one.node or one.address] = one.zone, Reason(code="agent_away", message=one.away)
            elif one.address not in self._by_address:
                asked.append(one)
        for one, answer in zip(asked, await asyncio.gather(*map(self._describe, asked)), strict=True):
            if isinstance(answer, Member):
                self._by_address[one.address] = answer
            elif answer is not None:
                missing[one.node or one.address] = one.zone, answer
        here = {one.address: one for one in located if one.away is None}
        members: dict[str, Member] = {}
        for address, member in list(self._by_address.items()):
            if address in here:
                member.zone = here[address].zone
                members[member.node] = member
                missing.pop(member.node, None)
        return Found(members, missing)

    def forget(self, member: Member) -> None:
        """It is not where it was: the next look asks anew."""
        self._by_address.pop(member.address, None)

    async def _describe(self, one: Located) -> Member | Reason | None:
        client = AgentClient(one.address, self._source.certificates, term=self._term)
        try:
            async with self._gate:
                facts: dict[str, Any] = await client.describe()
        except AgentError as error:
            await client.close()
            lost = error.lost or error.code in ("timeout", "agent_lost")
            if lost and one.excuse is not None:
                return Reason(code="agent_away", message=one.excuse)
            return Reason(code="agent_lost" if lost else error.code, message=f"{one.address}: {error.message}")
        another = one.another(facts)
        if another is not None or facts["role"] != "pod":
            await client.close()
            return None if another is None else Reason(code="refused", message=another)
        return Member(
            node=facts["node"],
            client=client,
            zone=one.zone,
            address=one.address,
            addresses=addresses_of(facts, one.address),
            all_addresses=tuple(facts["addresses"]) or tuple(addresses_of(facts, one.address).values()),
            stamp_port=facts["stamp_port"],
            boot_id=facts["boot_id"],
        )
