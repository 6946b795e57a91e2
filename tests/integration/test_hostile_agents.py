"""One sweep over agents that mean no good: each costs its own cells, with a reason, and bounded memory and time."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support import hostile
from tests.support.agents import START_SECONDS, new_identity, running_agent
from tests.support.cli import Controller
from tests.support.hostile import Hostile, hostile_agent, stub_of
from tests.support.peak import peak_of

from netmesh.v1 import agent_pb2
from netmesh_controller.clients.agents import AgentClient, AgentError, Spec
from netmesh_controller.mesh.document import RunDocument

# It was 294 MB: about 130 that a sweep takes anyhow, the rest a message of a million samples while it is looked at.
MOST_RESIDENT_KILOBYTES = 400_000
SPEC = Spec("tcp-bandwidth", "iperf3", 4, 1, 0, 0.5)
# How the one that runs the test is bad, and the reason that its cell has then.
BAD = [
    (hostile.floods, "tool_output"),
    (hostile.chatters, "tool_output"),
    (hostile.huge, "tool_output"),
    (hostile.twisted, "tool_output"),
    (hostile.twisted_last, "tool_output"),
    (hostile.no_number, "tool_output"),
    (hostile.no_count, "tool_output"),
    (hostile.twice, "tool_output"),
    (hostile.crowds, "tool_output"),
    (hostile.nothing, "tool_failed"),
]


async def test_hostile_agents_cost_their_own_cells_only(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "identity")
    controller = Controller(tmp_path / "data")
    async with AsyncExitStack() as stack:
        nodes = [
            stack.enter_context(
                running_agent(identity, tmp_path, node=f"node-{number}", address=f"127.0.0.{number}", port=19410)
            )
            for number in (1, 2, 3)
        ]
        stubs = [await stack.enter_async_context(stub_of(identity, node.target)) for node in nodes]
        described = await stubs[0].Describe(agent_pb2.DescribeRequest(), wait_for_ready=True, timeout=START_SECONDS)

        async def enter(node: str, *addresses: str, **more: object) -> str:
            description = agent_pb2.DescribeReply()
            description.CopyFrom(described)
            description.node = node
            description.addresses[:] = addresses
            where = f"{addresses[0] if addresses[0].startswith('127') else '127.0.0.99'}:19500"
            await stack.enter_async_context(hostile_agent(identity, where, Hostile(description, **more)))  # type: ignore[arg-type]
            return where

        targets = [node.target for node in nodes[:2]]
        pairs = ["node-1:node-2", "node-2:node-1", "node-1:watched"]
        for number, (run, _) in enumerate(BAD):
            targets.append(await enter(run.__name__, f"127.0.0.{number + 10}", run=run))
            pairs.append(f"{run.__name__}:node-1")
        targets.append(await enter("watched", "127.0.0.3", real=stubs[2]))
        liar = await enter("liar", "no address")
        targets.append(liar)
        asked = (
            "--agents",
            ",".join(targets),
            "--certificates",
            identity.directory / "controller",
            "--pairs",
            ",".join(pairs),
        )
        options = ("--tests", "tcp-bandwidth", "--rate", "20M", "--duration", "1s", "--omit", "0s", "--format", "json")
        begun = time.monotonic()
        code, stdout, stderr, most = await asyncio.to_thread(
            finished, controller, tmp_path, *("sweep", *asked, *options)
        )
        print(f"{time.monotonic() - begun:.1f} s, {most} kB")
    assert "Traceback" not in stderr, stderr
    assert code == 3, stderr
    document = RunDocument.model_validate_json(stdout)
    cells = {(one.source, one.target): one for one in document.cells}
    for pair in (("node-1", "node-2"), ("node-2", "node-1")):
        value = cells[pair].values["bits_per_second"]
        assert value is not None
        assert value.mean == pytest.approx(20e6, rel=0.1)
    reasons = {source: one.reason for (source, target), one in cells.items() if target == "node-1"}
    for run, code_of in BAD:
        reason = reasons[run.__name__]
        assert reason is not None, run.__name__
        assert (run.__name__, reason.code) == (run.__name__, code_of), reason
        assert reason.message.startswith(f"{run.__name__}: "), reason
    # Its watch says nothing that counts; what the tools measured is true all the same.
    watched = cells["node-1", "watched"]
    assert watched.outcome == "measured", watched.reason
    assert watched.hosts.target is None
    assert liar in stderr or liar in str(document.run.facts)
    assert most < MOST_RESIDENT_KILOBYTES


async def test_reports_of_probes_without_an_end_are_ended(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "identity")
    async with hostile_agent(identity, "127.0.0.1:19500", Hostile(agent_pb2.DescribeReply())):
        client = AgentClient("127.0.0.1:19500", identity.controller())

        async def read() -> None:
            async for _ in client.watch_probes():
                pass

        with pytest.raises(AgentError, match="sends far more than"):
            await read()
        await client.close()


async def test_a_stream_that_drips_without_an_end_is_over_in_its_time(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "identity")
    description = agent_pb2.DescribeReply(node="drips", role="pod", addresses=["127.0.0.1"])
    async with hostile_agent(identity, "127.0.0.1:19500", Hostile(description, hostile.drips)):
        client = AgentClient("127.0.0.1:19500", identity.controller())
        await client.describe()

        async def read() -> None:
            async for _ in client.run_test("g", SPEC, "127.0.0.1", (19501,), 0.5):
                pass

        async with asyncio.timeout(10):
            with pytest.raises(AgentError) as ended:
                await read()
        assert ended.value.code == "timeout"
        await client.close()


def finished(controller: Controller, folder: Path, *arguments: object) -> tuple[int, str, str, int]:
    """A command to its end: exit code, stdout, stderr, and the most memory that it had (kB)."""
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            controller.argv(*arguments), env=controller.environment(), stdout=stdout, stderr=stderr
        )
        with peak_of(process.pid) as peak:
            code = process.wait()
    assert peak.kilobytes > 0
    return code, out.read_text(), err.read_text(), peak.kilobytes
