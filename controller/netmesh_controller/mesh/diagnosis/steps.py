"""What to measure next: small steps, chosen by what the earlier ones found. A step is a sweep of a few cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netmesh_controller.mesh.diagnosis.beside import apart, crosses_zones, references
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Direction, Seen, figure
from netmesh_controller.mesh.diagnosis.udp import loses_from

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A step. `options` are those of the sweep that it is, None where it cannot be; `wanted` is whether what was found
    so far asks for it. Both are asked with whether the diagnosis is a quick one, which has it where `quick` is true.
    `light` steps send little, and are all done at once.
    """

    name: str
    title: str
    options: Callable[[Seen, bool], Options | None]
    wanted: Callable[[Seen, bool], bool] = lambda _seen, _quick: True
    quick: bool = True
    light: bool = False


# What a pair should reach of what others do, below which it is looked at more closely.
SHORT_OF_OTHERS = 0.8
HOSTS = "host-to-host"


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
    forward, back = (seen.value("tcp-bandwidth", "bits_per_second", one, streams=1) for one in DIRECTIONS)
    return "back" if back is not None and (forward is None or back < forward) else "forward"


def _light(quick: bool) -> Options:
    """Of one length all of them: they are done at once."""
    return {"duration": "1s" if quick else "3s", "omit": "0s"}


def _probe(seen: Seen, quick: bool) -> Options:
    pairs = _pairs(seen.ends("forward"), seen.ends("back"), *apart(seen))
    return {"tests": "udp-latency", "tool": "stamp", "pairs": pairs, "message_rate": 1000, **_light(quick)}


def _connect(seen: Seen, quick: bool) -> Options:
    return {"tests": "tcp-connect", "pairs": _both(seen), **_light(quick)}


def _service(seen: Seen, quick: bool) -> Options | None:
    if not seen.has_services:
        return None
    return {"paths": "pod-to-service", **_connect(seen, quick), "pairs": _pairs(seen.ends("forward"))}


def _service_wanted(seen: Seen, quick: bool) -> bool:  # noqa: ARG001  # every step has the same form
    # With the direct connections, or by itself where its Service had to be made.
    return not seen.done or not clear(seen)


def _mtu(seen: Seen, quick: bool) -> Options:  # noqa: ARG001  # every step has the same form
    return {"tests": "path-mtu", "pairs": _both(seen)}


def _bandwidth(seen: Seen, quick: bool) -> Options:
    return {"tests": "tcp-bandwidth", "pairs": _pairs(*_ways(seen), *apart(seen)), **_time(quick)}


def _ways(seen: Seen) -> tuple[tuple[str, str], tuple[str, str]]:
    return seen.ends("forward"), seen.ends("back")


def _others(seen: Seen, quick: bool) -> Options | None:
    pairs = references(seen, slower(seen))
    if not pairs:
        return None
    return {"tests": "tcp-bandwidth", "pairs": _pairs(*pairs), **_time(quick)}


def _others_wanted(seen: Seen, quick: bool) -> bool:
    """A quick one asks who is slow where somebody is, or where nothing tells yet what is right."""
    if clear(seen):
        return False
    known = bool(seen.others("tcp-bandwidth", "bits_per_second"))
    uneven = any(_short_of_itself(seen, one) or short_of_others(seen, one) for one in DIRECTIONS)
    return not quick or not known or crosses_zones(seen) or uneven


def _others_latency(seen: Seen, quick: bool) -> Options | None:
    pairs = references(seen, "forward")
    return {**_probe(seen, quick), "pairs": _pairs(*pairs)} if pairs else None


# What asks for a look at others: so much more than those that were probed meanwhile, or than a site's network takes.
_TIMES, _LEAST_SECONDS, _LONG_SECONDS = 3.0, 0.5e-3, 1e-3


def _others_latency_wanted(seen: Seen, quick: bool) -> bool:
    if clear(seen):
        return False
    network = "network_round_trip_seconds"
    here = seen.value("udp-latency", network, statistic="p50", instrument="stamp")
    high = seen.value("udp-latency", network, statistic="p90", instrument="stamp")
    low = seen.value("udp-latency", network, statistic="p10", instrument="stamp")
    if here is None or high is None or low is None:
        return False
    best = min(seen.others("udp-latency", network, statistic="p50", instrument="stamp").values(), default=None)
    if best is None and not quick:
        return True
    slow = here > _LONG_SECONDS if best is None else here > _TIMES * best and here - best > _LEAST_SECONDS
    return slow or high - low > _LEAST_SECONDS


def short_of_others(seen: Seen, direction: Direction) -> bool:
    """Whether clearly less goes through in that direction than between others."""
    expected = seen.expected("tcp-bandwidth", "bits_per_second")
    here = seen.value("tcp-bandwidth", "bits_per_second", direction, streams=1)
    return here is not None and expected is not None and here < SHORT_OF_OTHERS * expected[0]


def _short_of_itself(seen: Seen, direction: Direction) -> bool:
    """Whether clearly less goes through in that direction than in the other."""
    found = [seen.value("tcp-bandwidth", "bits_per_second", one, streams=1) for one in DIRECTIONS]
    here = seen.value("tcp-bandwidth", "bits_per_second", direction, streams=1)
    return here is not None and None not in found and here < SHORT_OF_OTHERS * max(one or 0 for one in found)


def _streams(seen: Seen, quick: bool) -> Options:
    return {"tests": "tcp-bandwidth", "streams": "4", "pairs": _pairs(seen.ends(slower(seen))), **_time(quick)}


def _streams_wanted(seen: Seen, quick: bool) -> bool:
    known = seen.expected("tcp-bandwidth", "bits_per_second") is not None
    return not clear(seen) and (short_of_others(seen, slower(seen)) or not (quick or known))


def _at_rate(share: float) -> Callable[[Seen, bool], Options]:
    """UDP at that share of what TCP reached."""

    def options(seen: Seen, quick: bool) -> Options:  # noqa: ARG001  # every step has the same form
        rate = seen.value("tcp-bandwidth", "bits_per_second", slower(seen), streams=1)
        return {
            "tests": "udp-bandwidth",
            "rate": "unlimited" if rate is None else str(int(rate * share)),
            "pairs": _pairs(seen.ends(slower(seen))),
            "duration": "1s",
            "omit": "0s",
        }

    return options


def _rates_wanted(seen: Seen, quick: bool) -> bool:  # noqa: ARG001  # every step has the same form
    """Step by step upwards, until it is lost."""
    if clear(seen) or not short_of_others(seen, slower(seen)):
        return False
    return loses_from(seen, slower(seen))[1] is None


def _under_load(seen: Seen, quick: bool) -> Options:
    return {
        "tests": "udp-latency",
        "tool": "stamp",
        "under_load": True,
        "pairs": _pairs(seen.ends(waiting(seen))),
        "message_rate": 500,
        "duration": "1s" if quick else "3s",
        "omit": "0s",
    }


def queueing(seen: Seen, direction: Direction) -> float | None:
    """By how much TCP's own round trip while it filled the path was above the idle network's, in seconds."""
    idle = seen.value("udp-latency", "network_round_trip_seconds", statistic="p50", instrument="stamp")
    loaded = seen.value("tcp-bandwidth", "round_trip_seconds", direction, streams=1)
    return None if idle is None or loaded is None else loaded - idle


def waiting(seen: Seen) -> Direction:
    """The direction in which TCP's own round trip grew more under its load."""
    return "back" if (queueing(seen, "back") or 0) > (queueing(seen, "forward") or 0) else "forward"


def _under_load_wanted(seen: Seen, quick: bool) -> bool:
    """A quick one goes by TCP's own round trip where there is one."""
    if clear(seen):
        return False
    found = [queueing(seen, direction) for direction in DIRECTIONS]
    return not quick or any(one is None for one in found)


def _have_hosts(seen: Seen) -> bool:
    both = (seen.nodes.get(seen.source), seen.nodes.get(seen.target))
    return all(node is not None and node.agent("host") is not None for node in both)


def _hosts(seen: Seen, quick: bool) -> Options | None:
    if not _have_hosts(seen):
        return None
    pairs = _pairs(seen.ends(slower(seen)))
    return {"paths": HOSTS, "tests": "tcp-bandwidth", "pairs": pairs, **_time(quick), "duration": "2s"}


def _hosts_probe(seen: Seen, quick: bool) -> Options | None:
    if not _have_hosts(seen):
        return None
    pairs = _pairs(seen.ends("forward"))
    return {"paths": HOSTS, "tests": "udp-latency,tcp-connect", "tool": "stamp", "pairs": pairs, **_light(quick)}


def _not_clear(seen: Seen, quick: bool) -> bool:  # noqa: ARG001  # every step has the same form
    return not clear(seen)


def _time(quick: bool) -> Options:
    return {"duration": "1s" if quick else "4s", "omit": "0s" if quick else "1s"}


# The step whose probes the rules on loss go by.
PROBE = "probe"
# UDP at these shares of what TCP reached, one after the other.
SHARES = (0.5, 0.75, 1.0, 1.25)

STEPS: tuple[Step, ...] = (
    Step(PROBE, "small probes both ways, with the kernels' own stamps", _probe, light=True),
    Step("connect", "new connections both ways", _connect, light=True),
    Step("service", "new connections through the Service", _service, _service_wanted, light=True),
    Step(
        "hosts_probe", "probes and connections between the hosts' own addresses", _hosts_probe, quick=False, light=True
    ),
    Step("mtu", "the largest packet that passes, each way", _mtu, lambda seen, _quick: reached(seen)),
    Step("bandwidth", "one TCP stream each way", _bandwidth, _not_clear),
    Step("others_latency", "small probes between the same ends and others", _others_latency, _others_latency_wanted),
    Step("others", "the same ends with other nodes", _others, _others_wanted),
    Step("streams", "four TCP streams the slower way", _streams, _streams_wanted),
    *(
        Step(
            f"rate_{share * 100:.0f}",
            f"UDP at {share:.0%} of what TCP reached",
            _at_rate(share),
            _rates_wanted,
            quick=False,
        )
        for share in SHARES
    ),
    Step("load", "small probes while TCP fills the path", _under_load, _under_load_wanted),
    Step("hosts", "one TCP stream between the hosts' own addresses", _hosts, _not_clear, quick=False),
)

Following = tuple[tuple[Step, Options], ...]


def next_steps(seen: Seen, *, quick: bool) -> Following:
    """What is not done yet and is needed: one step, or all light ones at once; none where there is nothing more to
    learn.

    A quick diagnosis stops at the first thing that explains enough, which the engine decides by the verdicts.
    """
    found: list[tuple[Step, Options]] = []
    for step in STEPS:
        if step.name in seen.done or (quick and not step.quick):
            continue
        options = step.options(seen, quick) if step.wanted(seen, quick) else None
        if options is None:
            continue
        if not found:
            found.append((step, options))
            if not step.light:
                break
        elif step.light:
            found.append((step, options))
    return tuple(found)


def every_step(seen: Seen, *, quick: bool) -> Following:
    """All that a diagnosis may come to, whatever it finds."""
    asked = ((step, step.options(seen, quick)) for step in STEPS if step.quick or not quick)
    return tuple((step, options) for step, options in asked if options is not None)
