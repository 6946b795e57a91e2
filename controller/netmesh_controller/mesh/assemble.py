"""From the evidence of one attempt to its cell. Pure.

Totals come from the client's output; the distribution over intervals, and what only a receiver can see, from the
receiving side's. Each adapter claims only what its side truly saw, so that the two never contradict each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from netmesh_controller.mesh import hostwindow
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, Hosts, Outcome, Reason, Summary, ToolRecord, Witness
from netmesh_controller.mesh.evidence import Evidence, Side
from netmesh_controller.mesh.instruments import INSTRUMENTS, STAMP
from netmesh_controller.mesh.standstill import stood_still
from netmesh_controller.mesh.statistics import summarise
from netmesh_controller.mesh.witness import witness

MIN_OVERLAP = 0.95


def cell_from(evidence: Evidence, *, duration_seconds: float, omit_seconds: float) -> Cell:
    """The cell that an attempt ended in: measured with its values, failed with its reason, or discarded with both.

    `duration_seconds` and `omit_seconds` are what the tool was told; they place the window of the host figures.
    """
    reason = evidence.reason or _lost_unseen(evidence, duration_seconds)
    measured = reason is None
    client, server = evidence.client, evidence.server
    intervals = _intervals(client, server) if measured else {}
    values = _values(evidence, intervals) if measured else {}
    hosts = Hosts()
    seen: Witness | None = None
    outcome: Outcome = "measured" if measured else "failed"
    if measured and client is not None:
        hosts = _hosts(evidence, values, *_inside(evidence, client, duration_seconds, omit_seconds))
        seen, reason = witness(
            evidence.key,
            values,
            _seen(evidence, client, values, hosts),
            shared_kernel=evidence.other_test or evidence.one_kernel,
            own_traffic=evidence.own_traffic,
            load_bits_per_second=evidence.under_load,
        )
        outcome = "discarded" if reason is not None else outcome
    return Cell(
        **dict(evidence.key),
        attempt=evidence.attempt,
        outcome=outcome,
        reason=reason,
        started_at=evidence.started_at,
        duration_seconds=evidence.duration_seconds,
        values=values,
        intervals={name: list(series) for name, series in intervals.items()},
        histograms=client.histograms if measured and client else {},
        hosts=hosts,
        witness=seen,
        tool=ToolRecord(
            version=evidence.source_version,
            command_source=client.command if client else None,
            command_target=server.command if server else None,
            congestion_control=client.congestion_control if client else None,
            reported=_reported(evidence),
            raw=client.raw if client else None,
            source_ports=list(client.source_ports) if client else [],
        ),
    )


def _reported(evidence: Evidence) -> dict[str, float]:
    reported = dict(evidence.client.reported) if evidence.client is not None else {}
    if evidence.under_load is not None:
        reported["load_bits_per_second"] = evidence.under_load
    last = evidence.client.values.get("jitter_seconds") if evidence.client is not None else None
    if last is not None and last.count == 1 and evidence.key.parameters.instrument != STAMP:
        reported["final_jitter_seconds"] = last.mean
    if evidence.key.parameters.instrument == STAMP and evidence.server is not None:
        reported |= {f"reflector_{name}": number for name, number in evidence.server.reported.items()}
    return reported


def _lost_unseen(evidence: Evidence, duration_seconds: float) -> Reason | None:
    """The loss that qperf's udp_lat does not tell."""
    client, key = evidence.client, evidence.key
    if key.test != "udp-latency" or key.parameters.instrument != "qperf" or client is None:
        return None
    # What comes before the last `duration_seconds` is the TCP latency that it is held against.
    if not stood_still(evidence.source_samples, client.ended_seconds - duration_seconds, client.ended_seconds):
        return None
    return Reason(code="loss", message=f"{key.source}: qperf lost a datagram and stood still until its time was over")


def _sides(client: Side | None, server: Side | None) -> list[Side]:
    """The sides whose words count: a server's only where it calls its test good, as the client does."""
    return [side for side in (client, server) if side is not None and side.failure is None]


def _intervals(client: Side | None, server: Side | None) -> dict[str, list[float]]:
    return {name: series for side in _sides(client, server) for name, series in side.intervals.items() if series}


def _values(evidence: Evidence, intervals: dict[str, list[float]]) -> dict[str, Summary | None]:
    client, server = evidence.client, evidence.server
    names = TESTS[evidence.key.test].values_by(evidence.key.parameters.instrument)
    told = {name: summary for side in reversed(_sides(client, server)) for name, summary in side.values.items()}
    values: dict[str, Summary | None] = {}
    for name in dict.fromkeys((*names, *told)):
        total, series = told.get(name), intervals.get(name)
        if series and name == "jitter_seconds":
            # The total is iperf3's smoothed figure of the last moment; `tool.reported` has it.
            values[name] = summarise(series)
        elif total is not None and series and name in _RATES:
            values[name] = _about(total.mean, summarise(series))
        else:
            values[name] = total
    if _no_room_at_reflector(evidence):
        # Some of what the network delivered was lost in the target, and nobody can tell how much of it.
        values["loss_ratio"] = values["forward_loss_ratio"] = None
    return values


def _no_room_at_reflector(evidence: Evidence) -> bool:
    server = evidence.server
    if evidence.key.parameters.instrument != STAMP or server is None:
        return False
    return server.reported.get("socket_drops", 0) > 0


# Values whose intervals are samples of the same thing as their total; a count, such as retransmits, is a sum.
_RATES = frozenset({"bits_per_second", "round_trip_seconds"})


def _about(mean: float, spread: Summary) -> Summary:
    """The distribution over the intervals, about the total that the tool states for the whole test.

    Intervals that were left out are in the total; where it lies outside of the others, one of those was more extreme.
    """
    least = None if spread.min is None else min(spread.min, mean)
    most = None if spread.max is None else max(spread.max, mean)
    return spread.model_copy(update={"mean": mean, "min": least, "max": most})


def _inside(evidence: Evidence, client: Side, duration_seconds: float, omit_seconds: float) -> tuple[float, float]:
    """The window of the measured seconds, on the source's clock.

    Setting up and tearing down took `overhead` in all, of which it is known what some tools take before and after their
    test. A window that leaves all of the rest out at the front, and ends with the test's own seconds, lies inside the
    measurement whichever end that was at.
    """
    instrument = INSTRUMENTS.get(evidence.key.parameters.instrument)
    before, after = (instrument.before_seconds, instrument.after_seconds) if instrument else (0.0, 0.0)
    ran = client.ended_seconds - client.started_seconds
    overhead = max(0.0, ran - before - after - omit_seconds - duration_seconds)
    begin = client.started_seconds + before + omit_seconds
    return begin + overhead, begin + duration_seconds


def _hosts(evidence: Evidence, values: dict[str, Summary | None], start: float, end: float) -> Hosts:
    """Both ends from `start` to `end` on the source's clock; None where an end was not watched for half of that."""
    rate = values.get("bits_per_second")
    bits_per_second = rate.mean if rate is not None else None

    source_window = hostwindow.window(evidence.source_samples, start, end)
    source = target = None
    if source_window is not None:
        source = hostwindow.host_cost(
            source_window,
            idle_busy_cores=evidence.source_idle_cores,
            idle_error_cores=evidence.source_idle_error_cores,
            bits_per_second=bits_per_second,
            shared=evidence.other_test,
        )
    if evidence.source_samples and evidence.target_samples:
        shift = evidence.source_samples.clock_offset() - evidence.target_samples.clock_offset()
        target_window = hostwindow.window(evidence.target_samples, start + shift, end + shift)
        if target_window is not None:
            target = hostwindow.host_cost(
                target_window,
                idle_busy_cores=evidence.target_idle_cores,
                idle_error_cores=evidence.target_idle_error_cores,
                bits_per_second=bits_per_second,
                shared=evidence.other_test,
            )
    return Hosts(source=source, target=target)


def _seen(evidence: Evidence, client: Side, values: dict[str, Summary | None], hosts: Hosts) -> Hosts:
    """The ends as the witness sees them: in the window of the host figures, or in all of the test's time where that was
    too short for one.
    """
    if hosts.source is not None and (hosts.target is not None or not evidence.target_samples):
        return hosts
    whole = _hosts(evidence, values, client.started_seconds, client.ended_seconds)
    return Hosts(source=hosts.source or whole.source, target=hosts.target or whole.target)


def counted(evidence: Sequence[Evidence]) -> list[Evidence]:
    """What of a measurement's tests counts, loads left out: both directions, or a test under its load, or none."""
    load = next((one for one in evidence if one.load), None)
    tests = [one for one in evidence if not one.load]
    if load is None:
        return both_or_none(tests)
    return [_under(load, one) if one.reason is None else one for one in tests]


def _under(load: Evidence, one: Evidence) -> Evidence:
    """A test that ran under a load from its beginning to its end; a failure where it did not."""
    if load.reason is not None or load.client is None or one.client is None:
        said = load.reason or Reason(code="tool_failed", message="it ended without a result")
        return dataclasses.replace(one, failure=Reason(code=said.code, message=f"the load failed: {said.message}"))
    # Both clients run on one agent, by one clock. STAMP waits for answers that are lost once it has sent its probes.
    ended = one.client.ended_seconds - one.client.reported.get("waited_seconds", 0.0)
    if not load.client.started_seconds < one.client.started_seconds <= ended < load.client.ended_seconds:
        reason = Reason(code="tool_failed", message="the load did not last as long as the test under it")
        return dataclasses.replace(one, failure=reason)
    return dataclasses.replace(one, under_load=load.client.values["bits_per_second"].mean)


def both_or_none(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of tests that count only together: both directions at once.

    Where one direction failed, or the two overlapped by less than `MIN_OVERLAP` of their time, the other's figure
    is not one of both directions at once, and none is kept.
    """
    if len(evidence) < 2:
        return list(evidence)
    failed = next((one.reason for one in evidence if one.reason is not None), None)
    if failed is None:
        overlap = _overlap(evidence)
        if overlap is not None and overlap < MIN_OVERLAP:
            message = f"the two directions ran together for {overlap:.0%} of their time only"
            failed = Reason(code="tool_failed", message=message)
            return [dataclasses.replace(one, failure=failed) for one in evidence]
        return list(evidence)
    other = Reason(code=failed.code, message=f"the other direction failed: {failed.message}")
    return [one if one.reason is not None else dataclasses.replace(one, failure=other) for one in evidence]


def _overlap(evidence: Sequence[Evidence]) -> float | None:
    """The share of the longest test's time in which all of them ran, on the controller's clock."""
    spans = []
    for one in evidence:
        if one.client is None or not one.source_samples:
            return None
        offset = one.source_samples.clock_offset()
        spans.append((one.client.started_seconds + offset, one.client.ended_seconds + offset))
    together = min(end for _, end in spans) - max(start for start, _ in spans)
    return max(0.0, together) / max(end - start for start, end in spans)
