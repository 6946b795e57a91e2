"""The witness: signs from what both ends were, which cells they starve, and whose traffic is on a device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.document import CellKey, CpuCores, Host, Hosts, Parameters, Reason, Summary, Witness
from netmesh_controller.mesh.witness import THRESHOLDS, witness

SECONDS = 4.0


def key(test: str = "tcp-latency", instrument: str = "qperf", path: str = "pod-to-pod", **more: object) -> CellKey:
    parameters = Parameters(instrument=instrument, **more)
    return CellKey(path=path, test=test, source="a", target="b", repeat=1, parameters=parameters)


def cores(*, steal: float = 0.0, busy: float = 0.5, busiest: float = 0.4) -> CpuCores:
    rest = dict.fromkeys(("user", "nice", "system", "irq", "softirq", "unattributed"), 0.0)
    return CpuCores(**rest, steal=steal, busy=busy, busiest_core=busiest)


def host(**parts: float) -> Host:
    """A healthy end in a window of 4 s, but for what `parts` of the window say."""
    seconds = {f"{name}_seconds": part * SECONDS for name, part in parts.items()}
    healthy = {"throttled_seconds": 0.0, "tool_wait_seconds": 0.01, "pressure_seconds": 0.1, "loop_late_seconds": 0.004}
    return Host(**{**healthy, **seconds}, cpu_cores=cores(), window_seconds=SECONDS)


def judged(
    source: Host | None = None,
    target: Host | None = None,
    of: CellKey | None = None,
    values: dict[str, Summary | None] | None = None,
    **more: object,
) -> tuple[Witness, Reason | None]:
    hosts = Hosts(source=source or host(), target=target or host())
    seen, reason = witness(of or key(), values or {}, hosts, **more)  # type: ignore[arg-type]  # keywords by name
    assert seen is not None
    return seen, reason


def test_ends_at_rest_are_healthy() -> None:
    assert judged() == (Witness(verdict="healthy"), None)


def test_without_a_window_there_is_no_witness() -> None:
    assert witness(key(), {}, Hosts()) == (None, None)


@pytest.mark.parametrize(
    ("part", "figure", "sign"),
    [
        ("throttled", 0.02, "throttled"),
        ("tool_wait", 0.2, "run_queue_wait"),
        ("pressure", 0.3, "pressure"),
        ("loop_late", 0.2, "loop_late"),
    ],
)
def test_each_sign_marks_and_says_which_end(part: str, figure: float, sign: str) -> None:
    seen, reason = judged(target=host(**{part: figure}))
    assert (seen.verdict, seen.signs, reason) == ("marked", [sign], None)
    assert seen.figures == {f"target.{sign}": pytest.approx(figure)}


def test_steal_and_a_busy_core_mark() -> None:
    busy = host().model_copy(update={"cpu_cores": cores(steal=0.05, busy=1.0, busiest=0.99)})
    seen, reason = judged(source=busy)
    assert (seen.verdict, seen.signs, reason) == ("marked", ["steal", "busy_core"], None)
    tick = host().model_copy(update={"cpu_cores": cores(steal=0.005, busy=0.05)})
    assert judged(source=tick)[0].verdict == "healthy"


@pytest.mark.parametrize("test", ["tcp-latency", "udp-latency", "tcp-connect", "tcp-request-response"])
def test_what_a_throttled_process_timed_is_discarded(test: str) -> None:
    seen, reason = judged(target=host(throttled=0.31), of=key(test))
    assert seen.verdict == "starved"
    assert reason is not None
    assert reason.code == "starved"
    assert reason.message == "b: its CPU limit held it up for 31% of the test"


@pytest.mark.parametrize(
    ("test", "instrument"),
    [("tcp-bandwidth", "iperf3"), ("udp-bandwidth", "iperf3"), ("path-mtu", "netmesh"), ("udp-latency", "stamp")],
)
def test_what_no_process_timed_is_marked_only(test: str, instrument: str) -> None:
    """A rate that a pod's limit makes is that pod's rate; STAMP's times are the kernels'."""
    seen, reason = judged(source=host(throttled=0.6, tool_wait=0.9), of=key(test, instrument))
    assert (seen.verdict, reason) == ("marked", None)
    assert seen.signs == ["throttled", "run_queue_wait"]


def test_steal_starves_and_so_does_waiting_for_a_core() -> None:
    stolen = host().model_copy(update={"cpu_cores": cores(steal=0.2, busy=1.0)})
    for source in (stolen, host(tool_wait=0.6)):
        seen, reason = judged(source=source)
        assert seen.verdict == "starved"
        assert reason is not None
        assert reason.message.startswith("a: ")


def test_on_one_kernel_both_ends_wait_for_each_other() -> None:
    seen, reason = judged(source=host(tool_wait=0.6), shared_kernel=True)
    assert (seen.verdict, seen.signs, reason) == ("marked", ["run_queue_wait"], None)
    assert judged(source=host(throttled=0.6), shared_kernel=True)[0].verdict == "starved"


def test_waiting_is_held_against_what_was_timed() -> None:
    """1,000 messages a second of 100 µs are a tenth of the window; half of a paced client's waiting is timed."""
    values = {"round_trip_seconds": Summary(mean=100e-6), "messages_per_second": Summary(mean=1000)}
    seen, _ = judged(source=host(tool_wait=0.04), target=host(tool_wait=0.04), values=dict(values))
    assert seen.figures == {"source.run_queue_wait": pytest.approx(0.2), "target.run_queue_wait": pytest.approx(0.4)}
    connects = {"connect_seconds": Summary(mean=200e-6)}
    paced = key("tcp-connect", "netmesh", offered_per_second=100)
    seen, _ = judged(source=host(tool_wait=0.008), of=paced, values=dict(connects))
    assert seen.figures["source.run_queue_wait"] == pytest.approx(0.2)
    # sockperf's client never sleeps: its waiting says little of what it timed.
    spins = key("udp-latency", "sockperf", offered_per_second=1000)
    seen, _ = judged(source=host(tool_wait=0.04), target=host(tool_wait=0.04), of=spins, values=dict(values))
    assert seen.figures == {"target.run_queue_wait": pytest.approx(0.4)}
    assert judged(source=host(tool_wait=0.9), of=spins, values=dict(values))[0].verdict == "marked"
    assert judged(target=host(tool_wait=0.9), of=spins, values=dict(values))[0].verdict == "starved"


def device(sent: float, received: float) -> Host:
    """An end whose device counted so many bytes a second."""
    counters = {"name": "eth0", "sent_bytes": int(sent * SECONDS), "received_bytes": int(received * SECONDS)}
    return host().model_copy(update={"device": counters})


RATE = 100e6  # bytes a second
BANDWIDTH = {"bits_per_second": Summary(mean=8 * RATE)}


def test_a_tests_own_traffic_is_no_other() -> None:
    """Of TCP in full segments: 66 bytes of headers in 1,514, an acknowledgement for two of them."""
    of = key("tcp-bandwidth", "iperf3")
    ends = (device(RATE * 1514 / 1448, RATE * 33 / 1448), device(RATE * 33 / 1448, RATE * 1514 / 1448))
    assert judged(*ends, of=of, values=dict(BANDWIDTH))[0].signs == []
    pings = {"round_trip_seconds": Summary(mean=20e-6)}
    assert judged(device(50e3 * 67, 50e3 * 67), device(50e3 * 67, 50e3 * 67), values=dict(pings))[0].signs == []


@pytest.mark.parametrize(("own", "sign"), [(False, "other_traffic"), (True, "own_traffic")])
def test_what_else_was_on_a_device_is_told(own: bool, sign: str) -> None:
    busy = device(RATE * 1.05, RATE * 0.5)
    seen, reason = judged(source=busy, of=key("tcp-bandwidth", "iperf3"), values=dict(BANDWIDTH), own_traffic=own)
    assert (seen.verdict, seen.signs, reason) == ("marked", [sign], None)
    # Half of the rate comes in; up to a fifth of it, and a tenth more, could be acknowledgements.
    assert 0.25 * RATE < seen.figures[f"source.{sign}"] < 0.5 * RATE


def test_a_load_beside_a_latency_test_is_expected() -> None:
    values = {"round_trip_seconds": Summary(mean=1e-3)}
    source = device(RATE * 1.04, RATE * 0.02)
    of = key(load="tcp-bandwidth")
    assert judged(source, of=of, values=dict(values), load_bits_per_second=8 * RATE)[0].signs == []
    assert judged(source, of=of, values=dict(values))[0].signs == ["other_traffic"]


def test_both_directions_at_once_and_a_hairpin() -> None:
    both = key("tcp-bandwidth", "iperf3", direction="bidirectional")
    assert judged(device(RATE, RATE), of=both, values=dict(BANDWIDTH))[0].signs == []
    one = device(RATE * 1.06, RATE * 1.06)
    hairpin = key("tcp-bandwidth", "iperf3", "hairpin")
    assert judged(one, one, of=hairpin, values=dict(BANDWIDTH))[0].signs == []


parts = st.fixed_dictionaries(
    {}, optional={name: st.floats(0, 1) for name in ("throttled", "tool_wait", "pressure", "loop_late")}
)


@given(parts, parts, st.sampled_from(["tcp-latency", "tcp-bandwidth", "path-mtu"]), st.booleans())
def test_verdict_and_reason_agree(source: dict[str, float], target: dict[str, float], test: str, shared: bool) -> None:
    seen, reason = judged(host(**source), host(**target), of=key(test), shared_kernel=shared)
    assert (seen.verdict == "starved") == (reason is not None)
    assert (seen.verdict == "healthy") == (seen.signs == [])
    assert {name.partition(".")[2] for name in seen.figures} == set(seen.signs) <= THRESHOLDS.keys()
    assert all(figure >= THRESHOLDS[name.partition(".")[2]].mark for name, figure in seen.figures.items())
