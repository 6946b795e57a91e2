"""A caller with the controller's certificate that opens stream after stream and reads none of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
from tests.support.agents import new_identity, running_agent

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_common.tls import channel
from netmesh_controller.clients.agents import AgentClient

STREAMS = 500
# Of the contract: netmesh_common.tls.
MOST_STREAMS = 100
WATCHED_SECONDS = 1.5


async def test_streams_that_nobody_reads_cost_an_agent_little(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "identity")
    with running_agent(identity, tmp_path) as agent:
        process = psutil.Process(agent.process.pid)
        client = AgentClient(agent.target, identity.controller())
        await client.describe()
        before, tasks = process.memory_info().rss, process.num_threads()
        async with channel(agent.target, identity.controller()) as greedy:
            stub: Any = agent_pb2_grpc.AgentStub(greedy)
            opened = [stub.WatchHost(agent_pb2.WatchHostRequest(interval_seconds=0.05)) for _ in range(STREAMS)]
            begun = [asyncio.ensure_future(one.initial_metadata()) for one in opened]
            await asyncio.wait(begun, timeout=WATCHED_SECONDS)
            # The others wait at the caller.
            assert 0 < sum(one.done() for one in begun) <= MOST_STREAMS
            await client.describe()
            await asyncio.sleep(WATCHED_SECONDS)
            await client.describe()
            assert process.memory_info().rss - before < 40e6
            assert process.num_threads() <= tasks + 4
            for one in begun:
                one.cancel()
            for one in opened:
                one.cancel()
        await client.describe()
        await client.close()
        assert "Traceback" not in agent.log.read_text()
