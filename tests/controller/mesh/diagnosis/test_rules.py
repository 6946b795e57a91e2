"""Every rule on a pair whose fault is written down: the right first verdict, at the right place, and no false alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from tests.controller.mesh.diagnosis.cases import ALL_PAIRS, BACK, FORWARD, GIGABIT, SLOW, Case, host, slow

from netmesh_controller.mesh.diagnosis import rules
from netmesh_controller.mesh.diagnosis.document import Code
from netmesh_controller.mesh.diagnosis.rule import all_rules, verdicts
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.steps import STEPS
from netmesh_controller.mesh.document import Reason

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
        lambda: slow(hosts={"b": host(tool_wait_seconds=0.7)}),
        "cpu_bound_receiver",
        {"node": "b"},
    ),
    "a queue for the core that costs nothing": (
        lambda: slow(hosts={"b": host(tool=0.02, tool_wait_seconds=0.3)}),
        "rate_limited",
        {"source": "a", "target": "b"},
    ),
    "interrupts": (lambda: slow(hosts={"b": host(softirq=0.9, busiest=0.99)}), "softirq_bound", {"node": "b"}),
    "interrupts that wander": (
        lambda: slow(receivers={"b": host(softirq=1.1, busiest=0.7)}),
        "softirq_bound",
        {"node": "b"},
    ),
    "a shaper beside interrupts that are there anyway": (
        lambda: slow(hosts={"b": host(softirq=1.1, busiest=0.7)}),
        "rate_limited",
        {"source": "a", "target": "b"},
    ),
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
