"""A mesh of four nodes with what a test changes of it, and what the steps of a diagnosis would see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.state import HostState
from netmesh_controller.mesh.diagnosis.steps import next_steps
from netmesh_controller.mesh.document import (
    Agent,
    Cell,
    CpuCores,
    Host,
    Hosts,
    Node,
    Parameters,
    Reason,
    Summary,
    ToolRecord,
    Witness,
)

GIGABIT = 950e6
ZONES = {"a": "east", "b": "west", "c": "west", "d": "east"}


def host(**known: float) -> Host:
    cores = CpuCores(
        user=0.1, nice=0, system=0.2, irq=0, softirq=known.pop("softirq", 0.1), steal=0, unattributed=0, busy=0.4,
        busiest_core=known.pop("busiest", 0.3),
    )  # fmt: skip
    return Host(cpu_cores=cores, tool_cpu_cores=known.pop("tool", 0.2), window_seconds=1.0, **known)


@dataclass
class Case:
    """A mesh of four nodes, healthy but for what a test changes before `seen`."""

    loss: dict[tuple[str, str], float] = field(default_factory=dict)
    delay: dict[tuple[str, str], float] = field(default_factory=dict)
    rate: dict[tuple[str, str], float] = field(default_factory=dict)
    jitter: dict[tuple[str, str], float] = field(default_factory=dict)
    four: float | None = None
    connect: Reason | None = None
    probe: Reason | None = None
    mtu: float = 1500
    black_hole: float = 0
    through_service: float = 60e-6
    under_load: float = 3e-3
    hosts_rate: float = GIGABIT
    hosts: dict[str, Host] = field(default_factory=dict)
    # The same while a node receives, where that differs.
    receivers: dict[str, Host] = field(default_factory=dict)
    other_traffic: float = 0.0
    # Of node b: what grew while the pair was probed, and what grew in the other steps.
    counters: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    udp_passes: float = 110e6
    # Probes that found the socket of node b's reflector full.
    no_room: int = 0
    unreachable: dict[str, Reason] = field(default_factory=dict)

    def _cell(self, test: str, pair: tuple[str, str], instrument: str, **more: object) -> Cell:
        source, target = pair
        defaults = {"values": {}, "reason": None, "path": "pod-to-pod", "load": None, "streams": None} | more
        reason = defaults["reason"]
        return Cell(
            path=defaults["path"],
            test=test,
            source=source,
            target=target,
            repeat=1,
            attempt=1,
            parameters=Parameters(
                instrument=instrument,
                load=defaults["load"],
                streams=defaults["streams"],
                offered_per_second=1000 if instrument == "stamp" else None,
            ),
            outcome="measured" if reason is None else "failed",
            reason=reason,
            duration_seconds=1.0,
            values=defaults["values"] if reason is None else {},
            intervals=defaults.get("intervals", {}),
            hosts=Hosts(
                source=self.hosts.get(source, host()),
                target=self.receivers.get(target) or self.hosts.get(target, host()),
            ),
            tool=ToolRecord(reported=defaults.get("reported", {})),
            witness=Witness(verdict="healthy", figures={"target.other_traffic": self.other_traffic}),
        )

    def _stamp(self, pair: tuple[str, str]) -> Cell:
        there, back = self.delay.get(pair, 20e-6), self.delay.get(pair[::-1], 20e-6)
        middle = there + back
        spread = self.jitter.get(pair, 5e-6)
        trip = Summary(mean=middle, p10=middle - spread / 2, p50=middle, p90=middle + spread / 2, p99=middle + spread)
        lost, lost_back = self.loss.get(pair, 0.0), self.loss.get(pair[::-1], 0.0)
        single = {
            "forward_delay_seconds": there,
            "return_delay_seconds": back,
            "forward_loss_ratio": lost,
            "return_loss_ratio": lost_back,
            "loss_ratio": lost + lost_back,
            "messages_per_second": 1000.0,
        }
        values: dict[str, Summary | None] = {name: Summary(mean=value) for name, value in single.items()}
        reported = {"sent": 1000.0, "received": 1000.0 - self.no_room, "socket_drops": 0.0}
        if self.no_room and pair[1] == "b":
            # As a cell has it: what the path lost of them is not known.
            values["loss_ratio"] = values["forward_loss_ratio"] = None
            reported["reflector_socket_drops"] = float(self.no_room)
        whole = {"network_round_trip_seconds": trip, "round_trip_seconds": trip, **values}
        return self._cell("udp-latency", pair, "stamp", values=whole, reason=self.probe, reported=reported)

    def _tcp(
        self, pair: tuple[str, str], streams: int = 1, rate: float | None = None, path: str = "pod-to-pod"
    ) -> Cell:
        got = rate if rate is not None else self.rate.get(pair, GIGABIT)
        values = {"bits_per_second": Summary(mean=got)}
        intervals = {"bits_per_second": [got * (1 + 0.01 * (number % 3)) for number in range(10)]}
        return self._cell(
            "tcp-bandwidth", pair, "iperf3", values=values, streams=streams, path=path, intervals=intervals
        )

    def _udp(self, pair: tuple[str, str], offered: float) -> Cell:
        lost = 0.2 if offered > self.udp_passes else 0.0
        values = {"bits_per_second": Summary(mean=offered * (1 - lost)), "loss_ratio": Summary(mean=lost)}
        made = self._cell("udp-bandwidth", pair, "iperf3", values=values, streams=1)
        return made.model_copy(
            update={"parameters": made.parameters.model_copy(update={"offered_bits_per_second": round(offered)})}
        )

    def seen_before(self) -> Seen:
        """Before anything was measured; the counters are of the whole time already."""
        nodes = {
            name: Node(
                name=name,
                zone=zone,
                agents=[Agent(role="pod", address="10.0.0.1"), Agent(role="host", address="10.0.1.1")],
                facts={"mtu_bytes": 1500},
            )
            for name, zone in ZONES.items()
        }
        found = Seen("a", "b", nodes, has_services=True, unreachable=self.unreachable)
        names = {**self.counters, **self.later}
        whole = {name: self.counters.get(name, 0) + self.later.get(name, 0) for name in names}
        found.before = {name: HostState(dict.fromkeys(names, 0), {}) for name in "ab"}
        found.after = {"a": found.before["a"], "b": HostState(whole, {"tcp_rmem": "4096 131072 6291456"})}
        found.probed = {"a": dict.fromkeys(names, 0), "b": {name: self.counters.get(name, 0) for name in names}}
        return found

    def seen(self) -> Seen:
        """After all steps that are wanted."""
        found = self.seen_before()
        while not found.unreachable and (following := next_steps(found, quick=False)):
            for step, _ in following:
                found.cells += self._measure(step.name)
                found.done.append(step.name)
        return found

    def _measure(self, step: str) -> list[Cell]:  # noqa: PLR0911  # a step, its cells
        there, back = ("a", "b"), ("b", "a")
        others = [("a", "c"), ("d", "b"), ("b", "c"), ("d", "a")]
        slower = back if self.rate.get(back, GIGABIT) < self.rate.get(there, GIGABIT) else there
        match step:
            case "probe":
                return [self._stamp(there), self._stamp(back)]
            case "connect" | "service":
                path, took = ("pod-to-pod", 50e-6) if step == "connect" else ("pod-to-service", self.through_service)
                values = {"connect_seconds": Summary(mean=took, p50=took)}
                reason = self.connect
                return [
                    self._cell("tcp-connect", one, "netmesh", values=values, path=path, reason=reason)
                    for one in (there, back)
                ]
            case "mtu":
                values = {"mtu_bytes": Summary(mean=self.mtu), "black_hole": Summary(mean=self.black_hole)}
                return [self._cell("path-mtu", one, "netmesh", values=values) for one in (there, back)]
            case "bandwidth":
                return [self._tcp(there), self._tcp(back)]
            case "others_latency":
                return [self._stamp(one) for one in others[:2]]
            case "others":
                pairs = others[:2] if slower == there else others[2:]
                return [self._tcp(one) for one in pairs]
            case "rate_50" | "rate_75" | "rate_100" | "rate_125":
                return [self._udp(slower, self.rate.get(slower, GIGABIT) * int(step.removeprefix("rate_")) / 100)]
            case "streams":
                return [self._tcp(slower, 4, self.four)]
            case "load":
                values = {"network_round_trip_seconds": Summary(mean=self.under_load, p50=self.under_load)}
                return [self._cell("udp-latency", there, "stamp", values=values, load="tcp-bandwidth")]
            case "hosts":
                return [self._tcp(slower, rate=self.hosts_rate, path="host-to-host")]
            case _:
                return []


FORWARD, BACK = ("a", "b"), ("b", "a")
ALL_PAIRS = [(one, other) for one in "abcd" for other in "abcd" if one != other]
SLOW = {FORWARD: 100e6}


def slow(**more: Any) -> Case:
    """From a to b a tenth of what others get, whatever the number of streams."""
    return Case(rate=SLOW, four=100e6, **more)
