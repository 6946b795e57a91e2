"""Every rule on a pair whose fault is written down: the right first verdict, at the right place, and no false alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest

from netmesh_controller.mesh.diagnosis import rules
from netmesh_controller.mesh.diagnosis.document import Code
from netmesh_controller.mesh.diagnosis.rule import all_rules, verdicts
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.state import HostState
from netmesh_controller.mesh.diagnosis.steps import STEPS, next_steps
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
    other_traffic: float = 0.0
    # Of node b: what grew while the pair was probed, and what grew in the other steps.
    counters: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
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
            hosts=Hosts(source=self.hosts.get(source, host()), target=self.hosts.get(target, host())),
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

    def seen(self) -> Seen:
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


NO_ANSWER = Reason(code="timeout", message="no answer")
CASES: dict[str, tuple[Callable[[], Case], Code, dict[str, str]]] = {
    "healthy": (Case, "healthy", {}),
    "an agent is gone": (lambda: Case(unreachable={"b": NO_ANSWER}), "unreachable", {"node": "b"}),
    "nothing passes": (lambda: Case(probe=NO_ANSWER, connect=NO_ANSWER), "unreachable", {"source": "a"}),
    "connections are dropped": (lambda: Case(connect=NO_ANSWER), "blocked", {"protocol": "TCP"}),
    "connections are refused": (
        lambda: Case(connect=Reason(code="refused", message="no")),
        "blocked",
        {"protocol": "TCP"},
    ),
    "datagrams are dropped": (lambda: Case(probe=NO_ANSWER), "blocked", {"protocol": "UDP"}),
    "loss there": (lambda: Case(loss={FORWARD: 0.02}), "loss_on_path", {"source": "a", "target": "b"}),
    "loss back": (lambda: Case(loss={BACK: 0.02}), "loss_on_path", {"source": "b", "target": "a"}),
    "loss makes it slow": (lambda: Case(loss={FORWARD: 0.02}, rate=SLOW), "loss_on_path", {"source": "a"}),
    "loss at the host": (
        lambda: Case(loss={FORWARD: 0.02}, counters={"Udp.RcvbufErrors": 20}),
        "loss_at_host",
        {"node": "b"},
    ),
    "a full socket": (lambda: Case(no_room=70), "loss_at_host", {"node": "b"}),
    "delay there": (lambda: Case(delay={FORWARD: 3e-3}), "delay_on_path", {"source": "a", "target": "b"}),
    "jitter": (lambda: Case(jitter={FORWARD: 4e-3, BACK: 4e-3}), "jitter_on_path", {}),
    "a pair is shaped": (slow, "rate_limited", {"source": "a", "target": "b"}),
    "a pair is shaped back": (lambda: Case(rate={BACK: 100e6}, four=100e6), "rate_limited", {"source": "b"}),
    "the sender is slow": (
        lambda: Case(rate={FORWARD: 100e6, ("a", "c"): 102e6}, four=100e6),
        "slow_node",
        {"node": "a"},
    ),
    "the receiver is slow": (
        lambda: Case(rate={FORWARD: 100e6, ("d", "b"): 98e6}, four=100e6),
        "slow_node",
        {"node": "b"},
    ),
    "delay of a node": (lambda: Case(delay=dict.fromkeys((FORWARD, ("d", "b")), 0.003)), "slow_node", {"node": "b"}),
    "a black hole": (lambda: Case(mtu=1300, black_hole=1), "mtu_black_hole", {"source": "a"}),
    "a narrow link": (lambda: Case(mtu=1400), "mtu_mismatch", {"source": "a"}),
    "a CPU limit": (lambda: slow(hosts={"b": host(throttled_seconds=0.6)}), "throttled", {"node": "b"}),
    "the sender's core": (lambda: slow(hosts={"a": host(tool=0.98)}), "cpu_bound_sender", {"node": "a"}),
    "the receiver's core": (lambda: slow(hosts={"b": host(tool=0.98)}), "cpu_bound_receiver", {"node": "b"}),
    "a queue for the core": (
        lambda: slow(hosts={"b": host(tool_wait_seconds=0.5)}),
        "cpu_bound_receiver",
        {"node": "b"},
    ),
    "interrupts": (lambda: slow(hosts={"b": host(softirq=0.9, busiest=0.99)}), "softirq_bound", {"node": "b"}),
    "the pods' network": (
        lambda: Case(rate=dict.fromkeys(ALL_PAIRS, 400e6), four=400e6),
        "overlay_cost",
        {"source": "a"},
    ),
    "the Service": (lambda: Case(through_service=300e-6), "service_cost", {"path": "pod-to-service"}),
    "a small window": (
        lambda: Case(rate={FORWARD: 50e6}, four=199e6, delay={FORWARD: 0.3e-3}),
        "window_limited",
        {"source": "a"},
    ),
    "one way is slow": (
        lambda: Case(rate={FORWARD: 640e6, ("a", "c"): 700e6, ("d", "b"): 700e6}, hosts_rate=660e6),
        "asymmetric",
        {"source": "a"},
    ),
    "a long queue": (lambda: Case(under_load=150e-3), "bufferbloat", {"source": "a"}),
    "two zones": (
        lambda: Case(rate={FORWARD: 100e6, ("a", "c"): 101e6, ("d", "b"): GIGABIT}, four=100e6),
        "slow_node",
        {"node": "a"},
    ),
    "a bulk flow": (lambda: Case(rate={FORWARD: 300e6}, four=600e6, other_traffic=80e6), "contention", {"node": "b"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_verdict_is_the_fault(name: str) -> None:
    case, code, where = CASES[name]
    found = verdicts(case().seen())
    assert found[0].code == code, [(one.code, one.sentence) for one in found]
    assert where.items() <= found[0].where.items()
    assert 0.5 <= found[0].confidence <= 1
    assert found[0].sentence.endswith(".")
    assert found[0].advice


def test_what_gave_nothing_is_no_health() -> None:
    found = Case().seen()
    found.cells = [cell for cell in found.cells if cell.test != "tcp-bandwidth"]
    found.done.remove("bandwidth")
    assert verdicts(found)[0].code == "insufficient_evidence"


def test_every_verdict_has_a_rule_and_every_rule_a_verdict() -> None:
    by_rules = {rule.code for rule in all_rules()}
    assert by_rules | {"healthy", "insufficient_evidence"} == set(get_args(Code))
    names = {path.stem for path in Path(rules.__path__[0]).glob("*.py")} - {"__init__"}
    assert names == by_rules
    steps = {step.name for step in STEPS}
    assert all(set(rule.needs) <= steps for rule in all_rules())


def test_a_clear_case_is_not_loaded() -> None:
    for case in (Case(connect=NO_ANSWER), Case(mtu=1300, black_hole=1), Case(unreachable={"b": NO_ANSWER})):
        assert not {"bandwidth", "streams", "load"} & set(case.seen().done)


def alone(seen: Seen, **history: Case) -> Seen:
    """The same where nobody else was measured meanwhile, with what the pair had, or its peers, before."""
    seen.cells = [cell for cell in seen.cells if {cell.source, cell.target} == {"a", "b"}]
    for name, case in history.items():
        pair = FORWARD if name == "history" else ("a", "c")
        setattr(seen, name, [case._stamp(pair), case._stamp(pair), case._tcp(pair)])
    return seen


@pytest.mark.parametrize("whose", ["history", "peers"])
def test_without_others_what_was_before_is_right(whose: str) -> None:
    late = Case(delay=dict.fromkeys(ALL_PAIRS, 1e-3))
    # Nobody knows better, and a site's network may take 2 ms.
    assert verdicts(alone(late.seen()))[0].code == "healthy"
    found = verdicts(alone(late.seen(), **{whose: Case()}))
    assert found[0].code == "delay_on_path"
    assert found[0].evidence[0].expected == pytest.approx(40e-6)
    assert found[0].evidence[0].measured == pytest.approx(2e-3)
    assert "2 earlier measurements" in found[0].evidence[0].source
    # It always took that long.
    assert verdicts(alone(late.seen(), **{whose: late}))[0].code == "healthy"


def test_what_a_host_drops_while_others_fill_it_is_no_loss_of_the_probes() -> None:
    """A flood of UDP overruns the receiver's buffer in a later step: the probes were lost before."""
    first = verdicts(Case(loss={FORWARD: 0.02}, later={"Udp.RcvbufErrors": 5000, "TcpExt.TCPBacklogDrop": 30}).seen())[
        0
    ]
    assert first.code == "loss_on_path"
    dropped = next(fact for fact in first.evidence if fact.what == "dropped by b itself")
    assert dropped.measured == 0


def test_a_host_that_does_not_tell_is_not_said_to_drop_nothing() -> None:
    first = verdicts(Case(loss={FORWARD: 0.02}).seen())[0]
    assert first.code == "loss_on_path"
    assert not any("dropped by" in fact.what for fact in first.evidence)


def test_jitter_and_loss_are_held_against_what_was_before() -> None:
    case = Case(jitter={FORWARD: 4e-3, BACK: 4e-3})
    assert verdicts(alone(case.seen(), history=Case()))[0].code == "jitter_on_path"
    assert verdicts(alone(case.seen(), history=case))[0].code == "healthy"
    lossy = verdicts(alone(Case(loss={FORWARD: 0.02}).seen(), history=Case(loss={FORWARD: 0.001})))
    before = next(fact for fact in lossy[0].evidence if fact.what == "loss before, both ways")
    assert lossy[0].code == "loss_on_path"
    assert before.measured == pytest.approx(0.001)
