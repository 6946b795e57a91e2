"""Agents that go away while a sweep runs, and come back: what waits for them, and why what they owe has no value.

An agent that stops answering is lost: it failed. Where its node was taken out of service on purpose (cordoned, drained,
removed) it is away, and raises nothing; on a node that is removed nothing is started any more. Only a source that
watches its nodes can tell.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from netmesh_controller.clients.agents import AgentClient, AgentError
from netmesh_controller.engines.measure import AgentHandle, addresses_of
from netmesh_controller.inventory.located import Presence
from netmesh_controller.mesh.document import Cell, Reason
from netmesh_controller.mesh.paths import agents_of
from netmesh_controller.mesh.plan import Measurement
from netmesh_controller.mesh.schedule import Schedule

log = logging.getLogger(__name__)

RETURN_SECONDS = 2.0
# Between two questions to an agent that is gone, before jitter: the first pause, and the longest.
PAUSE_SECONDS = (2.0, 8.0)
# How long a sweep that has nothing else to do waits for an agent whose node is in service: its pod is started anew.
PATIENCE_SECONDS = 60.0

Agent = tuple[str, str]
Spawn = Callable[[Coroutine[Any, Any, None], str], None]


class Absences:
    """The agents of a sweep that cannot be asked now. `agents` is changed where one comes back at another address."""

    def __init__(
        self,
        agents: dict[Agent, AgentHandle],
        schedule: Schedule,
        spawn: Spawn,
        presence: Presence | None = None,
        on_joined: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        self._agents = agents
        self._schedule = schedule
        self._spawn = spawn
        self._presence = presence
        self._on_joined = on_joined
        self._gone: dict[Agent, Reason] = {}
        self._since: dict[Agent, float] = {}
        self._waiting: dict[int, Measurement] = {}
        self._retired: list[AgentClient] = []

    def start(self) -> asyncio.Task[None] | None:
        """Follows what the source sees, where it watches: what is away is set aside before it is asked in vain."""
        if self._presence is None:
            return None
        self._look(self._presence)
        return asyncio.create_task(self._follow(self._presence), name="presence")

    def misses(self, measurement: Measurement) -> bool:
        """Whether one of the agents that a measurement needs is gone."""
        return bool(agents_in(measurement) & self._gone.keys())

    def keeps(self, measurement: Measurement) -> bool:
        """Sets a measurement that ended without a value aside, where one of its agents is gone."""
        if not self.misses(measurement):
            return False
        self._schedule.finish(measurement.index)
        self._waiting[measurement.index] = measurement
        return True

    @property
    def expected_back(self) -> bool:
        """Whether it is worth waiting for an agent that owes something although nothing else is left to do."""
        if self._presence is None or not self._waiting:
            return False
        now = time.monotonic()
        return any(
            self._reason(agent).code != "agent_away" and now - since < PATIENCE_SECONDS
            for agent, since in self._since.items()
        )

    async def look_after(self, agent: Agent) -> None:
        """Decides whether an agent is gone; if so, what waits for it is set aside until it returns."""
        if agent in self._gone or await self._answers(agent) or agent in self._gone:
            # The last again: another measurement may have found out while this one asked.
            return
        node, role = agent
        since = datetime.now(UTC).strftime("%H:%M:%S")
        self._set_aside(
            agent, Reason(code="agent_lost", message=f"{node}: its {role} agent stopped answering at {since} UTC")
        )

    def cells(self, attempts: Mapping[int, int]) -> list[Cell]:
        """What is still owed, as gaps with their reason."""
        cells = []
        for measurement in self._waiting.values():
            gone = sorted(agents_in(measurement) & self._gone.keys())
            reason = next((self._reason(agent) for agent in gone), None)
            if reason is None:
                continue
            outcome = "skipped" if reason.code == "agent_away" else "failed"
            number = (
                attempts.get(measurement.index, 0)
                if outcome == "skipped"
                else max(1, attempts.get(measurement.index, 0))
            )
            cells += [Cell(**dict(key), attempt=number, outcome=outcome, reason=reason) for key in measurement.cells]
        return cells

    async def close(self) -> None:
        """Ends the connections to pods that others took the place of; nothing of the sweep may be under way."""
        while self._retired:
            await self._retired.pop().close()

    # How it is done.

    def _reason(self, agent: Agent) -> Reason:
        """Why an agent is gone, as it is now: what was lost may have been taken away since."""
        excuse = self._presence.excuse(agent[0]) if self._presence is not None else None
        if excuse is not None:
            return Reason(code="agent_away", message=excuse)
        lost = self._gone[agent]
        if lost.code == "agent_away":
            # It is back in service, and its agent has not answered yet.
            return Reason(
                code="agent_lost", message=f"{agent[0]}: its {agent[1]} agent has not answered since: {lost.message}"
            )
        return lost

    def _set_aside(self, agent: Agent, reason: Reason) -> None:
        node = agent[0]
        self._gone[agent] = reason
        self._since[agent] = time.monotonic()
        log.warning("%s", reason.message)
        withdrawn = self._schedule.withdraw(node)
        self._waiting.update({one.index: one for one in withdrawn if agent in agents_in(one)})
        # What needs other agents of that node only goes on.
        self._schedule.restore([one for one in withdrawn if agent not in agents_in(one)])
        self._spawn(self._await_return(agent), f"wait for {node}")

    async def _follow(self, presence: Presence) -> None:
        seen = presence.version
        while True:
            self._look(presence)
            seen = await presence.changed(seen)

    def _look(self, presence: Presence) -> None:
        for agent in self._agents:
            reason = presence.away(agent[0])
            if reason is not None and agent not in self._gone:
                self._set_aside(agent, Reason(code="agent_away", message=reason))
        joined = presence.joined(frozenset(node for node, _ in self._agents))
        if joined:
            self._on_joined(joined)

    async def _await_return(self, agent: Agent) -> None:
        pauses = pauses_seconds()
        while not await self._is_back(agent):
            await self._some_time(next(pauses))
        log.warning("%s: its %s agent answers again", *agent)
        del self._gone[agent], self._since[agent]
        back = [one for one in self._waiting.values() if not agents_in(one) & self._gone.keys()]
        for measurement in back:
            del self._waiting[measurement.index]
        self._schedule.restore(back)

    async def _some_time(self, seconds: float) -> None:
        if self._presence is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._presence.changed(self._presence.version), seconds)
            # Large clusters change all the time.
            await asyncio.sleep(RETURN_SECONDS / 10)

    async def _is_back(self, agent: Agent) -> bool:
        if self._presence is None:
            return await self._answers(agent)
        located = self._presence.agent(*agent)
        if located is None or self._presence.away(agent[0]) is not None:
            return False
        handle = self._agents[agent]
        if located.address == handle.client.address:
            return await self._answers(agent)
        # A pod that was started anew has another address.
        client = handle.client.at(located.address)
        try:
            facts = await client.describe()
        except AgentError:
            facts = None
        if facts is None or located.another(facts) is not None:
            await client.close()
            return False
        addresses = addresses_of(facts, located.address)
        self._agents[agent] = replace(
            handle, client=client, addresses=addresses, tools=facts["tools"], all_addresses=tuple(facts["addresses"])
        )
        # Not closed now: what is under way there would be cancelled, and what follows it cannot call a closed one.
        self._retired.append(handle.client)
        return True

    async def _answers(self, agent: Agent) -> bool:
        try:
            facts = await self._agents[agent].client.describe()
        except AgentError:
            return False
        # Its address may be another agent's by now.
        return (facts["node"], facts["role"]) == agent


def pauses_seconds() -> Iterator[float]:
    """How long to wait before each further question to an agent that is gone.

    Longer each time, and no two alike: a thousand agents behind one broken switch are not asked all at once.
    """
    pause, most = PAUSE_SECONDS
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311  # no secret
        pause = min(1.5 * pause, most)


def agents_in(measurement: Measurement) -> frozenset[Agent]:
    """The agents that a measurement needs."""
    return frozenset(agent for key in measurement.cells for agent in agents_of(key))
