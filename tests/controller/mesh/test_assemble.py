"""From what both sides said to a cell: who is believed for what, and when nothing is."""

import dataclasses

import pytest
from tests.support import hostsamples
from tests.support.hostsamples import CpuTimes

from netmesh_controller.mesh.assemble import both_or_none, cell_from, counted
from netmesh_controller.mesh.document import Cell, CellKey, Parameters, Reason, Summary
from netmesh_controller.mesh.evidence import Evidence, Side
from netmesh_controller.mesh.hostsamples import Sample, Samples

KEY = CellKey(
    path="pod-to-pod",
    test="tcp-bandwidth",
    source="a",
    target="b",
    repeat=1,
    parameters=Parameters(instrument="iperf3", streams=1, direction="forward"),
)


def client(**changes: object) -> Side:
    told: dict[str, object] = {
        "command": "iperf3 -c",
        "started_seconds": 100.0,
        "ended_seconds": 106.1,
        "values": {"bits_per_second": Summary(mean=0.95e9), "retransmits": Summary(mean=7)},
        "intervals": {"retransmits": [3.0, 4.0]},
        "congestion_control": "cubic",
        "raw": "{}",
    }
    return Side(**{**told, **changes})  # type: ignore[arg-type]  # fields by name


def server(**changes: object) -> Side:
    told: dict[str, object] = {
        "command": "iperf3 -s",
        "started_seconds": 7.0,
        "ended_seconds": 14.0,
        "intervals": {"bits_per_second": [0.9e9, 1.0e9, 0.95e9]},
    }
    return Side(**{**told, **changes})  # type: ignore[arg-type]  # fields by name


def cell(**changes: object) -> Cell:
    evidence: dict[str, object] = {
        "key": KEY,
        "attempt": 1,
        "started_at": "2026-11-23T06:00:00Z",
        "duration_seconds": 6.2,
        "client": client(),
        "server": server(),
    }
    return cell_from(Evidence(**{**evidence, **changes}), duration_seconds=5, omit_seconds=1)  # type: ignore[arg-type]  # fields by name


def test_totals_are_the_clients_and_the_distribution_is_the_receivers() -> None:
    rate = cell().values["bits_per_second"]
    assert rate is not None
    assert rate.mean == 0.95e9
    assert (rate.min, rate.max, rate.count) == (0.9e9, 1.0e9, 3)
    assert cell().intervals["bits_per_second"] == [0.9e9, 1.0e9, 0.95e9]


def test_a_count_is_a_sum_and_stays_one() -> None:
    assert cell().values["retransmits"] == Summary(mean=7)


def test_a_value_that_no_side_told_is_null_not_zero() -> None:
    values = cell().values
    assert "round_trip_seconds" in values
    assert values["round_trip_seconds"] is None


def test_a_server_that_failed_is_not_believed() -> None:
    """An aborted iperf3 server states a rate over the wrong seconds."""
    one = cell(server=server(failure=Reason(code="tool_failed", message="interrupted")))
    rate = one.values["bits_per_second"]
    assert rate == Summary(mean=0.95e9)
    assert "bits_per_second" not in one.intervals


def test_a_failed_client_leaves_no_value_at_all() -> None:
    failed = Reason(code="refused", message="Connection refused")
    one = cell(client=client(failure=failed))
    assert (one.outcome, one.reason, one.values, one.intervals) == ("failed", failed, {}, {})


def test_an_agent_that_went_away_comes_before_what_its_tool_said() -> None:
    lost = Reason(code="agent_lost", message="b: gone")
    one = cell(client=client(failure=Reason(code="tool_failed", message="closed")), failure=lost)
    assert one.reason == lost


def test_a_test_without_a_result_has_a_reason() -> None:
    one = cell(client=None)
    assert one.outcome == "failed"
    assert one.reason is not None


def sample(at: float, busy: float, arrived: float, tool: float | None) -> Sample:
    return hostsamples.at(at, CpuTimes(system=busy, idle=at - busy), arrived_seconds=arrived, tool_cpu_seconds=tool)


def test_host_windows_lie_inside_the_measurement_on_each_hosts_own_clock() -> None:
    # The source's clock is 900 s behind the controller's, the target's 1007 s; both busy for half a core throughout.
    # The test ran from 100.0 to 106.1 of the source's clock: 0.1 s of overhead, so that 101.1 to 106.0 is inside.
    source = Samples.of(sample(at / 10, at / 20, at / 10 + 900, at / 40) for at in range(1000, 1062))
    target = Samples.of(sample(at / 10, at / 20, at / 10 + 1007, None) for at in range(-70 + 0, 1000))
    one = cell(source_samples=source, target_samples=target, source_idle_cores=0.1, target_idle_cores=0.1)
    for host in (one.hosts.source, one.hosts.target):
        assert host is not None
        assert host.window_seconds == pytest.approx(4.9, abs=0.11)
        assert host.cpu_cores is not None
        assert host.cpu_cores.busy == pytest.approx(0.5)
        assert host.cpu_seconds_per_gigabyte == pytest.approx(0.4 / (0.95 / 8))
    assert one.hosts.source is not None
    assert one.hosts.source.tool_cpu_cores == pytest.approx(0.25)
    assert one.hosts.target is not None
    assert one.hosts.target.tool_cpu_cores is None


def test_a_test_too_short_for_a_window_is_witnessed_over_all_of_its_time() -> None:
    """Half a second, of which the tool's seconds would be one: no host figures, and still a witness."""
    held_up = Samples.of(
        dataclasses.replace(sample(at / 10, at / 20, at / 10, 0.0), throttled_seconds=(at - 1000) / 20)
        for at in range(1000, 1006)
    )
    short = client(ended_seconds=100.5)
    latency = KEY.model_copy(update={"test": "path-mtu", "parameters": Parameters(instrument="netmesh")})
    one = cell_from(
        Evidence(latency, 1, "", 0.5, client=short, source_samples=held_up), duration_seconds=0, omit_seconds=0
    )
    assert one.hosts.source is None
    assert one.outcome == "measured"
    assert one.witness is not None
    assert one.witness.figures["source.throttled"] == pytest.approx(0.5)


def test_what_a_throttled_process_timed_is_discarded_with_its_values() -> None:
    source = Samples.of(
        dataclasses.replace(sample(at / 10, at / 20, at / 10, 0.0), throttled_seconds=(at - 1000) / 20)
        for at in range(1000, 1062)
    )
    values = {"round_trip_seconds": Summary(mean=1e-3)}
    latency = KEY.model_copy(update={"test": "tcp-latency", "parameters": Parameters(instrument="qperf")})
    one = cell(key=latency, client=client(values=values, intervals={}), server=None, source_samples=source)
    assert one.outcome == "discarded"
    assert one.reason is not None
    assert (one.reason.code, one.reason.message) == ("starved", "a: its CPU limit held it up for 50% of the test")
    assert one.values["round_trip_seconds"] == Summary(mean=1e-3)


def test_where_another_test_ran_the_whole_hosts_cost_is_unknown() -> None:
    source = Samples.of(sample(at / 10, at / 20, at / 10, 0.0) for at in range(1000, 1062))
    one = cell(source_samples=source, source_idle_cores=0.1, other_test=True)
    assert one.hosts.source is not None
    assert one.hosts.source.shared_host
    assert one.hosts.source.cpu_seconds_per_gigabyte is None


def both(**changes: object) -> list[Evidence]:
    """Both directions at once; `changes` go to the second one's client."""
    samples = Samples.of([sample(100, 1, 1000, None)])
    shape = {"key": KEY, "attempt": 1, "started_at": "", "duration_seconds": 6.0, "source_samples": samples}
    return [
        Evidence(**shape, client=client()),  # type: ignore[arg-type]  # fields by name
        Evidence(**shape, client=client(**changes)),  # type: ignore[arg-type]  # fields by name
    ]


def test_both_directions_count_when_they_ran_together() -> None:
    assert [one.reason for one in both_or_none(both())] == [None, None]


def test_one_direction_alone_is_not_a_figure_of_both_at_once() -> None:
    failed = both_or_none(both(failure=Reason(code="timeout", message="no end")))
    assert [one.reason.code if one.reason else None for one in failed] == ["timeout", "timeout"]


def test_directions_that_missed_each_other_do_not_count() -> None:
    apart = both_or_none(both(started_seconds=102.0, ended_seconds=108.1))
    assert all(one.reason is not None and "together" in one.reason.message for one in apart)


def under(**changes: object) -> list[Evidence]:
    """A test and its load, on one agent's clock: the load from 99 to 110, the test from 100 to 106.1."""
    shape = {"key": KEY, "attempt": 1, "started_at": "", "duration_seconds": 6.0}
    load: dict[str, object] = {"started_seconds": 99.0, "ended_seconds": 110.0}
    return [
        Evidence(**shape, client=client()),  # type: ignore[arg-type]  # fields by name
        Evidence(**shape, client=client(**{**load, **changes}), load=True),  # type: ignore[arg-type]  # fields by name
    ]


def test_a_test_under_load_has_the_loads_rate_beside_it() -> None:
    (one,) = counted(under())
    assert one.reason is None
    made = cell_from(one, duration_seconds=5, omit_seconds=1)
    assert made.tool.reported["load_bits_per_second"] == 0.95e9


@pytest.mark.parametrize(
    "changes",
    [
        {"ended_seconds": 106.0},
        {"started_seconds": 100.5},
        {"failure": Reason(code="tool_failed", message="the server has terminated")},
    ],
)
def test_a_load_that_did_not_last_leaves_no_figure_under_load(changes: dict[str, object]) -> None:
    (one,) = counted(under(**changes))
    assert one.reason is not None
    assert "load" in one.reason.message


def test_a_load_need_not_last_while_answers_that_are_lost_are_waited_for() -> None:
    one, load = under(ended_seconds=105.0)
    assert one.client is not None
    assert counted([one, load])[0].reason is not None
    one = dataclasses.replace(one, client=dataclasses.replace(one.client, reported={"waited_seconds": 2.0}))
    assert counted([one, load])[0].reason is None
    assert counted([one, under(ended_seconds=104.0)[1]])[0].reason is not None


def test_the_mean_lies_within_the_distribution() -> None:
    """The total covers what the intervals leave out, so that it may lie below them all."""
    rate = cell(server=server(intervals={"bits_per_second": [0.96e9, 0.97e9]})).values["bits_per_second"]
    assert rate is not None
    assert (rate.min, rate.mean, rate.max) == (0.95e9, 0.95e9, 0.97e9)


def test_jitter_is_that_of_the_intervals_and_not_of_the_last_moment() -> None:
    one = cell(
        key=KEY.model_copy(update={"test": "udp-bandwidth"}),
        client=client(values={"jitter_seconds": Summary(mean=1e-6)}),
        server=server(intervals={"jitter_seconds": [10e-6, 30e-6]}),
    )
    jitter = one.values["jitter_seconds"]
    assert jitter is not None
    assert jitter.mean == pytest.approx(20e-6)
    assert one.tool.reported["final_jitter_seconds"] == 1e-6
