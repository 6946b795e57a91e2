"""What to measure next: small steps, chosen by what the earlier ones found. A step is a sweep of a few cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Direction, Seen, figure

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A step. `options` are those of a sweep, or None where the step is not needed; `quick` is whether a quick
    diagnosis has it.
    """

    name: str
    title: str
    options: Callable[[Seen, bool], Options | None]
    quick: bool = True


# What a pair should reach of what others do, below which it is looked at more closely.
SHORT_OF_OTHERS = 0.8


def _pairs(*pairs: tuple[str, str]) -> str:
    return ",".join(f"{source}:{target}" for source, target in dict.fromkeys(pairs))


def _both(seen: Seen) -> str:
    return _pairs(seen.ends("forward"), seen.ends("back"))


def reached(seen: Seen) -> bool:
    """Whether anything of the pair was answered in both directions."""
    return figure(seen.cell("udp-latency", instrument="stamp"), "round_trip_seconds") is not None or any(
        cell.test in ("tcp-connect", "tcp-bandwidth") for cell in seen.measured()
    )


def clear(seen: Seen) -> bool:
    """Whether the case is clear already, so that filling the path would add nothing."""
    if seen.source in seen.unreachable or seen.target in seen.unreachable or not reached(seen):
        return True
    if any(seen.gap("tcp-connect", direction) is not None for direction in DIRECTIONS):
        return True
    return any(figure(seen.cell("path-mtu", direction), "black_hole") == 1 for direction in DIRECTIONS)


def slower(seen: Seen) -> Direction:
    """The direction in which less went through."""
    forward, back = (seen.value("tcp-bandwidth", "bits_per_second", direction) for direction in DIRECTIONS)
    return "back" if back is not None and (forward is None or back < forward) else "forward"


def references(seen: Seen, direction: Direction) -> list[tuple[str, str]]:
    """Pairs that share one end each with the pair, by other nodes; such of the same zones first, then another zone."""
    source, target = seen.ends(direction)
    others = [
        name
        for name, node in seen.nodes.items()
        if name not in (source, target) and name not in seen.unreachable and node.agent("pod") is not None
    ]
    if not others:
        return []
    near_target = sorted(others, key=lambda name: (seen.zone(name) != seen.zone(target), name))
    near_source = sorted(others, key=lambda name: (seen.zone(name) != seen.zone(source), name))
    first = near_target[0]
    second = next((name for name in near_source if name != first), near_source[0])
    return [(source, first), (second, target)]


def _probe(seen: Seen, quick: bool) -> Options:
    return {
        "tests": "udp-latency",
        "tool": "stamp",
        "pairs": _pairs(seen.ends("forward")) if quick else _both(seen),
        "duration": "1s" if quick else "3s",
        "omit": "0s",
        "message_rate": 1000,
    }


def _connect(seen: Seen, quick: bool) -> Options:
    return {
        "tests": "tcp-connect",
        "pairs": _pairs(seen.ends("forward")) if quick else _both(seen),
        "duration": "1s" if quick else "2s",
    }


def _mtu(seen: Seen, quick: bool) -> Options | None:  # noqa: ARG001  # every step has the same form
    return {"tests": "path-mtu", "pairs": _both(seen)} if reached(seen) else None


def _bandwidth(seen: Seen, quick: bool) -> Options | None:
    if clear(seen):
        return None
    return {"tests": "tcp-bandwidth", "pairs": _both(seen), **_time(quick)}


def _triangulate(seen: Seen, quick: bool) -> Options | None:
    pairs = references(seen, slower(seen))
    if clear(seen) or not pairs:
        return None
    tests = "tcp-bandwidth" if quick else "tcp-bandwidth,udp-latency"
    return {"tests": tests, "tool": "iperf3" if quick else "iperf3,stamp", "pairs": _pairs(*pairs), **_time(quick)}


def _latency_of_others(seen: Seen, quick: bool) -> Options | None:
    """Only where the pair's own latency or loss asks for it: a quick diagnosis has no time for it otherwise."""
    worse = (seen.value("udp-latency", "network_round_trip_seconds", statistic="p50", instrument="stamp") or 0) > 1e-3
    lossy = (seen.value("udp-latency", "loss_ratio", instrument="stamp") or 0) > 0
    spread = (seen.value("udp-latency", "network_round_trip_seconds", statistic="p99", instrument="stamp") or 0) > 2e-3
    pairs = references(seen, "forward")
    if clear(seen) or not pairs or not quick or not (worse or lossy or spread):
        return None
    return {
        "tests": "udp-latency",
        "tool": "stamp",
        "pairs": _pairs(*pairs),
        "duration": "1s",
        "omit": "0s",
        "message_rate": 1000,
    }


def short_of_others(seen: Seen, direction: Direction) -> bool:
    """Whether clearly less goes through in that direction than between others."""
    expected = seen.expected("tcp-bandwidth", "bits_per_second")
    here = seen.value("tcp-bandwidth", "bits_per_second", direction)
    return here is not None and expected is not None and here < SHORT_OF_OTHERS * expected[0]


def _streams(seen: Seen, quick: bool) -> Options | None:
    direction = slower(seen)
    if clear(seen) or not (short_of_others(seen, direction) or not seen.others("tcp-bandwidth", "bits_per_second")):
        return None
    return {"tests": "tcp-bandwidth", "streams": "4", "pairs": _pairs(seen.ends(direction)), **_time(quick)}


def _under_load(seen: Seen, quick: bool) -> Options | None:
    if clear(seen):
        return None
    return {
        "tests": "udp-latency",
        "tool": "stamp",
        "under_load": True,
        "pairs": _pairs(seen.ends("forward")),
        "message_rate": 500,
        "duration": "1s" if quick else "3s",
        "omit": "0s",
    }


def _rates(seen: Seen, quick: bool) -> Options | None:  # noqa: ARG001  # every step has the same form
    """UDP at the rate that TCP reached: is it lost there?"""
    direction = slower(seen)
    rate = seen.value("tcp-bandwidth", "bits_per_second", direction)
    if clear(seen) or rate is None or not short_of_others(seen, direction):
        return None
    return {
        "tests": "udp-bandwidth",
        "rate": str(int(rate * 1.3)),
        "pairs": _pairs(seen.ends(direction)),
        "duration": "2s",
        "omit": "0s",
    }


def _hosts(seen: Seen, quick: bool) -> Options | None:
    both = (seen.nodes.get(seen.source), seen.nodes.get(seen.target))
    if clear(seen) or any(node is None or node.agent("host") is None for node in both):
        return None
    return {
        "paths": "host-to-host",
        "tests": "tcp-bandwidth" if quick else "tcp-bandwidth,udp-latency,tcp-connect",
        **({} if quick else {"tool": "iperf3,stamp"}),
        "pairs": _pairs(seen.ends(slower(seen))),
        **_time(quick),
    }


def _service(seen: Seen, quick: bool) -> Options | None:
    if clear(seen) or not seen.has_services:
        return None
    return {
        "paths": "pod-to-service",
        "tests": "tcp-connect",
        "pairs": _pairs(seen.ends("forward")),
        "duration": "1s" if quick else "2s",
    }


def _time(quick: bool) -> Options:
    return {"duration": "1s" if quick else "4s", "omit": "0s" if quick else "1s"}


STEPS: tuple[Step, ...] = (
    Step("probe", "small probes both ways, with the kernels' own stamps", _probe),
    Step("connect", "new connections", _connect),
    Step("mtu", "the largest packet that passes, each way", _mtu),
    Step("bandwidth", "one TCP stream each way", _bandwidth),
    Step("others", "the same ends with other nodes", _triangulate),
    Step("others_latency", "small probes between the same ends and other nodes", _latency_of_others),
    Step("streams", "four TCP streams the slower way", _streams),
    Step("rates", "UDP at a little more than TCP reached", _rates, quick=False),
    Step("service", "new connections through the Service", _service),
    Step("load", "small probes while TCP fills the path", _under_load),
    Step("hosts", "the same between the hosts' own addresses", _hosts, quick=False),
)


def next_step(seen: Seen, *, quick: bool) -> tuple[Step, Options] | None:
    """The first step that is not done yet and is needed; None where there is nothing more to learn.

    A quick diagnosis stops at the first thing that explains enough, which the engine decides by the verdicts.
    """
    for step in STEPS:
        if step.name in seen.done or (quick and not step.quick):
            continue
        options = step.options(seen, quick)
        if options is not None:
            return step, options
    return None
