"""Were the measuring processes themselves healthy while they measured? Signs, and a verdict for each cell. Pure.

A process that is throttled, or waits for a core, reports its own waiting as the network's. What each threshold means,
and why some cells are only marked, stands in docs/measuring.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import CellKey, Host, Hosts, Reason, Summary, Witness
from netmesh_controller.mesh.traffic import expected

End = Literal["source", "target"]
Values = Mapping[str, Summary | None]


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which figure on a sign is there, and from which on it starves a figure that a process timed (None: never).

    `said` says the figure in words, as "{end}: {said}".
    """

    mark: float
    starve: float | None
    said: str


# Figures are parts of the window but for those of traffic, which are bytes a second. A pause that takes up a part of
# the window touches about that part of the observations: from 1 % on the p99, from 10 % on the p90.
THRESHOLDS: Mapping[str, Threshold] = {
    "throttled": Threshold(0.01, 0.10, "its CPU limit held it up for {:.0%} of the test"),
    # Of the time that the observations took, not of the window.
    "run_queue_wait": Threshold(0.10, 0.50, "{:.0%} of what it timed was waiting for a core"),
    "steal": Threshold(0.01, 0.10, "its hypervisor took {:.0%} of the CPU time that it wanted"),
    "pressure": Threshold(0.25, None, "tasks waited for a core in {:.0%} of the test"),
    "busy_core": Threshold(0.95, None, "a core was busy for {:.0%} of the test"),
    "loop_late": Threshold(0.10, None, "the agent's timers were late by {:.0%} of the test"),
    "other_traffic": Threshold(1.25e6, None, "{:.3g} bytes a second on its device were not the test's"),
    "own_traffic": Threshold(1.25e6, None, "{:.3g} bytes a second on its device were other tests'"),
}
# Steal below this many cores is a tick or two.
_LEAST_STEAL_CORES = 0.02
# What else may be on the device beside a test, as a part of the test's own: its rate in the window is not its mean.
_TRAFFIC_SLACK = 0.10


def witness(
    key: CellKey,
    values: Values,
    hosts: Hosts,
    *,
    shared_kernel: bool = False,
    own_traffic: bool = False,
    load_bits_per_second: float | None = None,
) -> tuple[Witness | None, Reason | None]:
    """The witness of a measured cell, and the reason `starved` where its figures are to be discarded.

    None where neither end could be watched in the window. `shared_kernel`: both ends, or another test, ran on one
    kernel, so that they waited for each other; `own_traffic`: another test ran at one of the nodes;
    `load_bits_per_second` is what a load beside the test received.
    """
    figures: dict[str, float] = {}
    for end in _ENDS:
        host: Host | None = getattr(hosts, end)
        if host is None or not host.window_seconds:
            continue
        for sign, figure in _figures(key, values, host, host.window_seconds, end):
            figures[f"{end}.{sign}"] = figure
        other = _other_traffic(key, values, host, end, load_bits_per_second)
        if other is not None:
            figures[f"{end}.{'own' if own_traffic else 'other'}_traffic"] = other
    if not figures:
        return None, None
    shown = {name: figure for name, figure in figures.items() if figure >= THRESHOLDS[_sign(name)].mark}
    signs = [sign for sign in THRESHOLDS if any(_sign(name) == sign for name in shown)]
    reason = _starved(key, shown, shared_kernel=shared_kernel)
    verdict: Literal["healthy", "marked", "starved"] = "marked" if signs else "healthy"
    return Witness(verdict="starved" if reason else verdict, signs=signs, figures=shown), reason


_ENDS: tuple[End, End] = ("source", "target")


def _sign(name: str) -> str:
    return name.partition(".")[2]


def starves(seen: Witness | None, end: End) -> bool:
    """Whether a process at this end was held up by its limit or its hypervisor: what it timed is its own waiting."""
    if seen is None:
        return False
    limits = ((sign, limit.starve) for sign, limit in THRESHOLDS.items() if sign != "run_queue_wait")
    return any(starve is not None and seen.figures.get(f"{end}.{sign}", 0.0) >= starve for sign, starve in limits)


def timed_by_a_process(key: CellKey) -> bool:
    """Whether the cell's figures are times that a process took: its own waiting is in them.

    STAMP's network time is the kernels'. What a bandwidth test received in spite of a CPU limit is what this pod gets.
    A path's MTU is told by what arrived.
    """
    return TESTS[key.test].kind in {"latency", "connect", "transactions"} and key.parameters.instrument != "stamp"


def _starved(key: CellKey, shown: Mapping[str, float], *, shared_kernel: bool) -> Reason | None:
    if not timed_by_a_process(key):
        return None
    for name, figure in shown.items():
        end, _, sign = name.partition(".")
        limit = THRESHOLDS[sign]
        if limit.starve is None or figure < limit.starve:
            continue
        if sign == "run_queue_wait" and (shared_kernel or (end == "source" and _spins(key))):
            continue
        node = key.source if end == "source" else key.target
        return Reason(code="starved", message=f"{node}: {limit.said.format(figure)}")
    return None


def _figures(key: CellKey, values: Values, host: Host, seconds: float, end: End) -> Iterator[tuple[str, float]]:
    """What is known of one end's processes in its window of so many seconds, sign by sign."""
    # STAMP's reflector runs in the agent itself.
    reflects = key.parameters.instrument == "stamp" and end == "target"
    waited = host.agent_wait_seconds if reflects else host.tool_wait_seconds
    return process_figures(host, seconds, waited, _timed_part(key, values, end))


def process_figures(
    host: Host, seconds: float, waited_seconds: float | None, timed_part: float
) -> Iterator[tuple[str, float]]:
    """The signs of a measuring process and its host in a window: it waited so long, and timed a part of the window."""
    if host.throttled_seconds is not None:
        # Version 1 adds up the cores: two that stand still for a second are two seconds.
        yield "throttled", min(host.throttled_seconds / seconds, 1.0)
    if waited_seconds is not None:
        yield "run_queue_wait", min(waited_seconds / (seconds * timed_part), 1.0)
    if host.cpu_cores is not None:
        cores = host.cpu_cores
        yield "steal", cores.steal / cores.busy if cores.steal >= _LEAST_STEAL_CORES and cores.busy > 0 else 0.0
        yield "busy_core", cores.busiest_core
    if host.pressure_seconds is not None:
        yield "pressure", min(host.pressure_seconds / seconds, 1.0)
    if host.loop_late_seconds is not None:
        yield "loop_late", min(host.loop_late_seconds / seconds, 1.0)


def _timed_part(key: CellKey, values: Values, end: End) -> float:
    """The part of the window in which something was being timed: observations a second times what each took.

    Without a pause between them it is all of it. A paced client is woken twice for each, once to begin and once by the
    answer, so that half of its waiting is in what it timed: its part counts double.
    """
    took = next((found for name in _TOOK if (found := values.get(name)) is not None), None)
    rate = next((found.mean for name in _RATE if (found := values.get(name)) is not None), None)
    if rate is None and key.parameters.offered_per_second is not None:
        rate = float(key.parameters.offered_per_second)
    if not timed_by_a_process(key) or (end == "source" and _spins(key)) or took is None or rate is None:
        return 1.0
    part = rate * took.mean
    paced = part < _PACED_PART
    return min(max(2 * part if paced and end == "source" else part, _LEAST_PART), 1.0)


def _spins(key: CellKey) -> bool:
    """Whether the client waits for its next message by asking the clock without a pause.

    Whenever another wants its core it waits, also where nothing is timed: that is a mark, and proves no figure wrong.
    """
    return key.parameters.instrument == "sockperf"


_TOOK = ("round_trip_seconds", "connect_seconds")
_RATE = ("messages_per_second", "transactions_per_second")
# A tool that times for less than this part of its window pauses in between.
_PACED_PART = 0.5
# Where next to nothing was timed, a moment's waiting is not all of it.
_LEAST_PART = 0.01


def _other_traffic(key: CellKey, values: Values, host: Host, end: End, load: float | None) -> float | None:
    ours = expected(key, values, load)
    if ours is None or not host.window_seconds:
        return None
    sent, received = (ours.forward, ours.back) if end == "source" else (ours.back, ours.forward)
    if key.path == "hairpin":  # one device is both ends
        sent = received = ours.forward + ours.back
    beyond = []
    for counter, of_test in (("sent_bytes", sent), ("received_bytes", received)):
        grown = host.device.get(counter)
        if isinstance(grown, int):
            beyond.append(grown / host.window_seconds - of_test * (1 + _TRAFFIC_SLACK))
    return max(0.0, *beyond) if beyond else None
