"""One measurement from admission to result: the client side of a test."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from netmesh.v1 import agent_pb2
from netmesh_agent import sockets
from netmesh_agent.admission import Admission, Busy, is_slow
from netmesh_agent.errors import Refused
from netmesh_agent.process import Ended, Process, ProgramMissing, start
from netmesh_agent.tools.base import Failure, Instrument, Reading, Spec
from netmesh_agent.waiting import Lateness

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Started:
    """The tool was started."""

    command: str
    monotonic_nanoseconds: int
    expected_seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The tool ended; what its output says."""

    command: str
    ended: Ended
    result: Reading | Failure


Event = Started | Finished | agent_pb2.HostSample


class Jobs:
    """The client sides of this agent. `sample` reads the host and the process tree of the given root."""

    def __init__(
        self,
        admission: Admission,
        sample: Callable[[int | None], agent_pb2.HostSample],
        on_finished: Callable[[Spec, Reading | Failure], None] = lambda _, __: None,
    ) -> None:
        self._admission = admission
        self._sample = sample
        self._on_finished = on_finished

    async def run(
        self, group: str, spec: Spec, instrument: Instrument, address: str, ports: Sequence[int]
    ) -> AsyncGenerator[Event, None]:
        """Runs one test; yields Started, host samples as it goes, and Finished as the last.

        Closing the iterator, or cancelling its reader, ends the tool's whole process group.
        Raises Refused: `busy` where another group measures here, `tool_missing`.
        """
        exclusive = not is_slow(spec)
        try:
            if exclusive:
                self._admission.run(group)
        except Busy as busy:
            raise Refused("busy", str(busy)) from busy
        try:
            process = await self._start(spec, instrument, address, ports)
            try:
                async for event in self._follow(process, spec, instrument, address, ports):
                    yield event
            finally:
                await process.end()
        finally:
            if exclusive:
                self._admission.release(group)

    async def _start(self, spec: Spec, instrument: Instrument, address: str, ports: Sequence[int]) -> Process:
        seconds = spec.omit_seconds + spec.duration_seconds + instrument.client_overhead_seconds(spec)
        try:
            return await start(
                instrument.client_command(spec, address, ports),
                deadline_seconds=seconds,
                secret=spec.session.key if spec.session is not None else None,
            )
        except ProgramMissing as missing:
            raise Refused("tool_missing", str(missing)) from missing

    async def _follow(
        self, process: Process, spec: Spec, instrument: Instrument, address: str, ports: Sequence[int]
    ) -> AsyncGenerator[Event, None]:
        command = shlex.join(process.argv)
        test_seconds = float(spec.omit_seconds + spec.duration_seconds)
        started = time.monotonic()
        yield Started(command, time.monotonic_ns(), test_seconds)
        ending = asyncio.ensure_future(process.ended())
        congestion_control: str | None = None
        late = Lateness()
        try:
            while not ending.done():
                sample = self._sample(process.pid)
                sample.loop_late_seconds = late.seconds
                yield sample
                if congestion_control is None and spec.test.startswith("tcp-") and _is_midway(started, test_seconds):
                    congestion_control = sockets.congestion_control_of(address, ports[-1])
                late.due_in(SAMPLE_SECONDS)
                await asyncio.wait([ending], timeout=SAMPLE_SECONDS)
                late.fired()
            ended = await ending
        finally:
            ending.cancel()
        # A log of every observation takes a while to read; the agent answers meanwhile.
        result = await asyncio.to_thread(instrument.parse_client, spec, ended.output)
        if isinstance(result, Reading) and result.congestion_control is None:
            result = dataclasses.replace(result, congestion_control=congestion_control)
        self._on_finished(spec, result)
        yield Finished(command, ended, result)


def _is_midway(started: float, test_seconds: float) -> bool:
    return time.monotonic() - started > test_seconds / 2
