# ruff: noqa: N802, ARG002 (the methods are the contract's)
"""A process of many simulated agents: the real contract over real mutual TLS; what they measure is the model's.

`python -m tests.sim.agents SOCKET CERTIFICATES FIRST LAST PORT WORLD`. What happens in the model network is told to the
hub at SOCKET, a line of JSON a message; it answers with what a flow brought. Admission is the real agent's code.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import signal
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NoReturn

import grpc
from tests.sim.world import World

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_agent.admission import Admission, Busy
from netmesh_common.hostfigures import MODES
from netmesh_common.tls import CONTROLLER_NAME, SERVER_OPTIONS, peer_names, server_credentials

FAILURE_KEY = "netmesh-failure-bin"
SAMPLE_SECONDS = 0.1
# The key of HostSample.cpus: field 2, length-delimited.
CPUS_FIELD = b"\x12"
# A program's start, of the model's time.
TOOL_SECONDS = 0.03
WINDOW_SECONDS = 5.0
STAMP_PORT = 61862
Context = grpc.aio.ServicerContext[Any, Any]


class Hub:
    """The way to the model network."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def tell(self, **message: Any) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def ask(self, flow: str, **message: Any) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[flow] = answer
        self.tell(flow=flow, **message)
        return await answer

    async def read(self) -> None:
        """Answers come until the hub is gone."""
        while line := await self._reader.readline():
            answer = json.loads(line)
            waiting = self._asked.pop(answer["flow"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)


class SimAgent(agent_pb2_grpc.AgentServicer):
    """One simulated agent."""

    def __init__(self, world: World, number: int, hub: Hub, by_address: dict[str, str]) -> None:
        self._world, self._hub, self._by_address = world, hub, by_address
        self._number, self.node = number, world.names[number]
        self._admission = Admission()
        self._dice = world.dice(self.node)
        self._opened: dict[str, tuple[str, asyncio.TimerHandle]] = {}
        self._results: dict[str, agent_pb2.Outcome] = {}
        self._count = 0
        self._probed: agent_pb2.ProbeReport | None = None
        # By endpoint: until when a watch has told of it.
        self._watched: dict[str, float] = {}

    async def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> agent_pb2.DescribeReply:
        reply = agent_pb2.DescribeReply(
            node=self.node,
            role="pod",
            agent_version="sim",
            addresses=[self._world.address(self._number)],
            kernel="6.12.0",
            cpus=self._world.cpus,
            memory_bytes=2**36,
            congestion_control="cubic",
            congestion_controls_allowed=["cubic"],
            tools=[
                agent_pb2.Tool(name=name, version=version)
                for name, version in (("iperf3", "3.18"), ("qperf", "0.4.11"))
            ],
            boot_id=f"boot-{self.node}",
            tool_ports=range(61863, 61871),
        )
        reply.device.name, reply.device.mtu_bytes = "eth0", 1500
        if self._world.probing:
            reply.stamp_port = STAMP_PORT
        reply.limits.seconds, reply.limits.streams = 3600, 128
        return reply

    async def OpenEndpoint(
        self, request: agent_pb2.OpenEndpointRequest, context: Context
    ) -> agent_pb2.OpenEndpointReply:
        try:
            self._admission.open(request.group)
        except Busy as busy:
            await _refuse(context, "busy", str(busy))
        await asyncio.sleep(TOOL_SECONDS / self._world.factor)
        self._count += 1
        endpoint = f"{self.node}-{self._count}"
        timer = asyncio.get_running_loop().call_later(request.lease_seconds, self._give_back, endpoint)
        self._opened[endpoint] = (request.group, timer)
        return agent_pb2.OpenEndpointReply(
            endpoint=endpoint, ports=[61863], command="iperf3 --server --one-off --json --port 61863"
        )

    async def CloseEndpoint(
        self, request: agent_pb2.CloseEndpointRequest, context: Context
    ) -> agent_pb2.CloseEndpointReply:
        self._give_back(request.endpoint)
        outcome = agent_pb2.Outcome(command="iperf3 --server --one-off --json --port 61863")
        outcome.reading.SetInParent()
        since = self._watched.pop(request.endpoint, None)
        return agent_pb2.CloseEndpointReply(outcome=outcome, samples=None if since is None else self._batch(since))

    def _give_back(self, endpoint: str) -> None:
        group, timer = self._opened.pop(endpoint, (None, None))
        if group is not None and timer is not None:
            timer.cancel()
            self._admission.release(group)

    async def RunTest(
        self, request: agent_pb2.RunTestRequest, context: Context
    ) -> AsyncGenerator[agent_pb2.RunTestEvent, None]:
        if CONTROLLER_NAME not in peer_names(context.auth_context()):
            await _refuse(context, "refused", "only the controller may call")
        try:
            self._admission.run(request.group)
        except Busy as busy:
            await _refuse(context, "busy", str(busy))
        try:
            async for event in self._run(request):
                yield event
        finally:
            self._admission.release(request.group)

    async def _run(self, request: agent_pb2.RunTestRequest) -> AsyncGenerator[agent_pb2.RunTestEvent, None]:
        world, dice, spec = self._world, self._dice, request.spec
        says = spec.duration_seconds + spec.omit_seconds + TOOL_SECONDS
        takes = says * dice.uniform(1 - world.jitter, 1 + world.jitter) * (3 if dice.random() < world.stragglers else 1)
        fails = dice.random() < world.failures
        target = self._by_address[request.target_address]
        flow = f"{request.group} {self.node}"
        began = self._clock()
        self._hub.tell(flow=flow, what="begin", source=self.node, target=target)
        ended = None
        try:
            command = f"iperf3 --client {request.target_address} --port {request.target_ports[0]} --json"
            yield agent_pb2.RunTestEvent(
                accepted=agent_pb2.Accepted(
                    command=command, monotonic_nanoseconds=round(began * 1e9), expected_seconds=says
                )
            )
            seen = began - SAMPLE_SECONDS
            while (left := began + takes - self._clock()) > 0:
                if (taken := self._batch(seen)) is not None:
                    seen = taken.monotonic_nanoseconds[-1] / 1e9
                    yield agent_pb2.RunTestEvent(host=taken)
                await asyncio.sleep(min(left, request.batch_seconds or SAMPLE_SECONDS) / world.factor)
            ended = await self._hub.ask(flow, what="end", test=spec.test)
        finally:
            if ended is None:
                self._hub.tell(flow=flow, what="stop")
        outcome = agent_pb2.Outcome(
            command=command,
            started_monotonic_nanoseconds=round(began * 1e9),
            ended_monotonic_nanoseconds=round(self._clock() * 1e9),
            tool_cpu_seconds=0.1,
        )
        if fails:
            outcome.failure.code, outcome.failure.message = "tool_failed", "the other side ended in mid-test"
        else:
            self._read(outcome.reading, spec, ended)
        yield agent_pb2.RunTestEvent(outcome=outcome, last=self._batch(seen))

    def _read(self, reading: agent_pb2.Reading, spec: agent_pb2.Spec, ended: dict[str, Any]) -> None:
        if spec.test == "tcp-bandwidth":
            rate = ended["bits_per_second"]
            reading.values["bits_per_second"].mean, reading.values["bits_per_second"].count = rate, 1
            reading.values["retransmits"].mean, reading.values["retransmits"].count = 0.0, 1
            reading.intervals["bits_per_second"].values.extend(
                [rate] * round(spec.duration_seconds / spec.interval_seconds)
            )
            reading.congestion_control = "cubic"
        else:
            reading.values["round_trip_seconds"].mean = ended["round_trip_seconds"]
            reading.values["round_trip_seconds"].count = 1
        reading.raw = json.dumps({"end": {"streams": [{"sender": {}, "receiver": {}}] * 8}})

    async def ConfigureProbing(
        self, request: agent_pb2.ConfigureProbingRequest, context: Context
    ) -> agent_pb2.ConfigureProbingReply:
        if not self._world.probing:
            await _refuse(context, "not_supported", "these agents do not probe")
        self._probed = report_of(request, self._dice)
        return agent_pb2.ConfigureProbingReply(instance=self.node, stamp_port=STAMP_PORT)

    async def WatchProbes(
        self, request: agent_pb2.WatchProbesRequest, context: Context
    ) -> AsyncGenerator[agent_pb2.ProbeReport, None]:
        if not self._world.probing:
            await _refuse(context, "not_supported", "these agents do not probe")
        while True:
            # As the real ones: windows end at whole multiples of their length.
            ends = (math.floor(time.time() / WINDOW_SECONDS) + 1) * WINDOW_SECONDS
            await asyncio.sleep(ends - time.time())
            if self._probed is None:
                continue
            report = self._probed
            report.instance, report.window = self.node, round(ends / WINDOW_SECONDS)
            report.seconds, report.ended_unix_nanoseconds = WINDOW_SECONDS, round(ends * 1e9)
            report.host.CopyFrom(self._sample(self._clock()))
            yield report

    async def AskReflector(
        self, request: agent_pb2.AskReflectorRequest, context: Context
    ) -> agent_pb2.AskReflectorReply:
        await _refuse(context, "not_supported", "simulated agents do not probe")

    async def Inspect(self, request: agent_pb2.InspectRequest, context: Context) -> agent_pb2.InspectReply:
        await _refuse(context, "not_supported", "simulated agents have no network stack")

    async def WatchHost(
        self, request: agent_pb2.WatchHostRequest, context: Context
    ) -> AsyncGenerator[agent_pb2.HostSamples, None]:
        pause = request.batch_seconds or request.interval_seconds
        seen = self._clock() - SAMPLE_SECONDS
        while True:
            if request.endpoint:
                self._watched[request.endpoint] = seen
            if request.batch_seconds and (taken := self._batch(seen)) is not None:
                yield taken
                seen = taken.monotonic_nanoseconds[-1] / 1e9
                self._watched[request.endpoint] = seen
            elif not request.batch_seconds:
                yield self._samples([self._clock()])
            await asyncio.sleep(pause / self._world.factor)

    def _clock(self) -> float:
        """The model's time, seconds: it goes `factor` times faster than the machine's."""
        return time.monotonic() * self._world.factor

    def _batch(self, since: float) -> agent_pb2.HostSamples | None:
        """Those that were due after a moment until now: a model's counters can be read for any moment."""
        due = int((self._clock() - since) / SAMPLE_SECONDS)
        return self._samples([since + (number + 1) * SAMPLE_SECONDS for number in range(due)]) if due > 0 else None

    def _samples(self, moments: list[float]) -> agent_pb2.HostSamples:
        """The counters at these moments, all cores alike."""
        cores, count = self._world.cpus, len(moments)
        ticks = [_ticks(moment) for moment in moments]
        idle = [counters["idle"] for counters in ticks]
        return agent_pb2.HostSamples(
            monotonic_nanoseconds=[round(moment * 1e9) for moment in moments],
            idle_seconds=[cores * each / 100 for each in idle],
            core_idle_seconds=[idle[0] / 100] * cores,
            core_idle_ticks=[each - idle[0] for each in idle[1:] for _ in range(cores)],
            mode_seconds=[cores * counters.get(mode, 0) / 100 for counters in ticks for mode in MODES],
            memory_total_bytes=2**36,
            memory_available_bytes=[2**35] * count,
            tool_cpu_seconds=[0.02 * moment for moment in moments],
            throttled_seconds=[0.0] * count,
            pressure_seconds=[0.0] * count,
            tool_wait_seconds=[0.0] * count,
            agent_wait_seconds=[0.0] * count,
            loop_late_seconds=[0.0] * count,
        )

    def _sample(self, now: float) -> agent_pb2.HostSample:
        cpu = agent_pb2.Cpu(**{mode: each / 100 for mode, each in _ticks(now).items()})
        # All cores alike: their bytes are made once. Merging the bytes of messages adds their fields up.
        cores = CPUS_FIELD + bytes([cpu.ByteSize()]) + cpu.SerializeToString()
        sample = agent_pb2.HostSample.FromString(cores * self._world.cpus)
        sample.MergeFrom(
            agent_pb2.HostSample(
                monotonic_nanoseconds=round(now * 1e9),
                memory_total_bytes=2**36,
                memory_available_bytes=2**35,
                throttled_seconds=0.0,
                pressure_seconds=0.0,
                agent_wait_seconds=0.0,
            )
        )
        return sample


def _ticks(now: float) -> dict[str, int]:
    """A core's counters in hundredths of a second: a tenth of the time it is busy."""
    hundredths = round(now * 100)
    user, system, softirq = hundredths * 3 // 100, hundredths // 50, hundredths // 20
    return {"user": user, "system": system, "softirq": softirq, "idle": hundredths - user - system - softirq}


def report_of(request: agent_pb2.ConfigureProbingRequest, dice: random.Random) -> agent_pb2.ProbeReport:
    """What a window of these probes tells: each was answered, after some hundred microseconds."""
    peers = len(request.peers)
    each = round(WINDOW_SECONDS / request.interval_seconds)
    times = [round(300e3 * dice.lognormvariate(0, 0.2)) for _ in range(peers * each)]
    counts = [each] * peers
    return agent_pb2.ProbeReport(version=request.version, sent=counts, measured=counts, network_nanoseconds=times)


async def _refuse(context: Context, code: str, message: str) -> NoReturn:
    failure = agent_pb2.Failure(code=code, message=message)
    await context.abort(
        grpc.StatusCode.RESOURCE_EXHAUSTED, message, trailing_metadata=((FAILURE_KEY, failure.SerializeToString()),)
    )


async def _serve(
    world: World, number: int, hub: Hub, by_address: dict[str, str], certificates: Path, port: int
) -> grpc.aio.Server:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    agent_pb2_grpc.add_AgentServicer_to_server(SimAgent(world, number, hub, by_address), server)
    server.add_secure_port(f"{world.address(number)}:{port}", server_credentials(certificates))
    await server.start()
    return server


async def main(socket: str, certificates: Path, first: int, last: int, port: int, world: World) -> None:
    """Serves the agents FIRST to LAST - 1 until the hub ends."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=2**20)
    hub = Hub(reader, writer)
    by_address = {world.address(number): name for number, name in enumerate(world.names)}
    servers = {
        number: await _serve(world, number, hub, by_address, certificates, port) for number in range(first, last)
    }
    lost = [number for number in world.dice("lost").sample(range(world.nodes), world.lost) if number in servers]
    hub.tell(what="ready", agents=len(servers))

    async def away(number: int) -> None:
        await asyncio.sleep(world.dice(f"away {number}").uniform(0.2, 1.0) * world.away_seconds)
        await servers[number].stop(grace=0)
        await asyncio.sleep(world.away_seconds)
        servers[number] = await _serve(world, number, hub, by_address, certificates, port)

    async def lose() -> None:
        # Counted from the agents' start: they do not know when a sweep begins.
        await asyncio.gather(*(away(number) for number in lost))

    losing = asyncio.create_task(lose())
    try:
        await hub.read()
    finally:
        losing.cancel()
        await asyncio.gather(*(server.stop(grace=0) for server in servers.values()))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the hub ends this process
    socket_path, folder, begin, end, listen, described = sys.argv[1:]
    asyncio.run(main(socket_path, Path(folder), int(begin), int(end), int(listen), World(**json.loads(described))))
