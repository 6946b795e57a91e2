"""Opening that is given up half way leaves nothing at the agent, at whatever moment."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.test_agent import LATENCY, TCP, gone
from tests.support.agents import RunningAgent

from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.engines.measure import Attempt, Link, open_endpoints
from netmesh_controller.engines.survey import handle_of
from netmesh_controller.inventory.located import Located
from netmesh_controller.mesh.document import CellKey, Parameters
from netmesh_controller.mesh.plan import Measurement, Variant

LEASE_SECONDS = 20.0


async def test_what_was_opened_when_it_is_given_up_does_not_wait_for_its_lease(
    client: AgentClient, agent: RunningAgent
) -> None:
    handle = handle_of(client, Located(agent.target), await client.describe())
    parameters = Parameters(instrument="iperf3")
    key = CellKey(
        path="pod-to-pod", test="tcp-bandwidth", source="node-1", target="node-2", repeat=0, parameters=parameters
    )
    links = tuple(Link(key, spec, handle, handle, "127.0.0.1") for spec in (TCP, LATENCY))
    measurement = Measurement(0, Variant("pod-to-pod", "tcp-bandwidth", parameters, 1.0), "node-1", "node-2", 0)
    given_up = 0
    for number in range(120):
        attempt = Attempt(measurement, 1, f"g{number}", links)
        opening = asyncio.create_task(open_endpoints(attempt, LEASE_SECONDS))
        # From before the calls are made to after both are answered.
        await asyncio.sleep(0.001 * number)
        opening.cancel()
        try:
            await opening
        except asyncio.CancelledError:
            given_up += 1
            assert not attempt.opened
            await gone(agent, "iperf3", "qperf", seconds=2)
        else:
            break
    if given_up < 2:
        pytest.fail(f"only {given_up} were given up before they were open")
