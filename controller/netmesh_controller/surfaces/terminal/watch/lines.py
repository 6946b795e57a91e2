"""The watched mesh as lines: one a window, and one whenever an event opens, changes or closes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.watch.bandwidths import Bandwidths
from netmesh_controller.surfaces.terminal.watch.picture import bandwidth, failing, percent
from netmesh_controller.surfaces.terminal.watch.seen import Seen, Worst
from netmesh_controller.surfaces.terminal.words import clean, count

_WORST = 5


def window_in_words(
    seen: Seen, opened: int, checks: Sequence[dict[str, Any]] = (), tested: Bandwidths | None = None
) -> str:
    """A window in one line."""
    words = [count(len(seen.nodes), "node"), f"{count(seen.measured, 'pair')} measured"]
    if seen.gaps:
        words.append(f"{count(seen.gaps.total(), 'gap')} ({', '.join(f'{c} {n}' for c, n in seen.gaps.most_common())})")
    slow, lossy = seen.worst(seen.times, 1), seen.worst(seen.losses, 1, above=0.0)
    if seen.median_seconds is not None:
        scale = scale_for("", "s", [seen.median_seconds])
        words.append(f"{seen.statistic} median {scale.full(seen.median_seconds)}")
        words += [f"slowest {one.source} -> {one.target} {scale.full(one.number)}" for one in slow]
    if seen.loss_ratio is not None:
        words.append(f"{percent(seen.loss_ratio)} lost")
    words += [f"most {one.source} -> {one.target} {percent(one.number)}" for one in lossy]
    if checks:
        words.append(f"{len(failing(checks))} of {count(len(checks), 'check')} failing")
    said = [", ".join(words)]
    if tested is not None:
        said.append(bandwidth(tested, tested.asked_at))
    said.append(count(opened, "open event") if opened else "no event is open")
    return f"{stamp(seen.ended)}  {'; '.join(said)}"


def event_in_words(event: dict[str, Any], what: str) -> str:
    """What became of an event, in one line."""
    at = {"opened": "opened_at", "changed": "changed_at", "closed": "closed_at"}[what]
    cause = f" ({event['cause']})" if event["cause"] and what == "closed" else ""
    return f"{event[at]}  {what.upper()} {event['kind']}{cause}: {clean(event['finding']['sentence'])}"


def window_as_json(
    seen: Seen, opened: int, checks: Sequence[dict[str, Any]] = (), tested: Bandwidths | None = None
) -> str:
    """A window as one line of JSON: seconds and ratios, null where nothing is known."""
    return json.dumps(
        {
            "what": "window",
            "started_at": stamp(seen.started),
            "ended_at": stamp(seen.ended),
            "window_seconds": seen.seconds,
            "statistic": seen.statistic,
            "nodes": len(seen.nodes),
            "measured_pairs": seen.measured,
            "gaps": dict(seen.gaps),
            "nodes_without_figures": dict(seen.missing),
            "own_traffic": sorted(seen.own),
            "median_seconds": seen.median_seconds,
            "loss_ratio": seen.loss_ratio,
            "slowest": [_pair(one, "seconds") for one in seen.worst(seen.times, _WORST)],
            "most_lost": [_pair(one, "loss_ratio") for one in seen.worst(seen.losses, _WORST, above=0.0)],
            "open_events": opened,
            "checks": len(checks),
            "checks_failing": [
                {name: one[name] for name in ("node", "check", "count", "failed", "reason", "message")}
                for one in failing(checks)
            ],
            "bandwidth": None if tested is None else _bandwidth(tested),
        }
    )


def event_as_json(event: dict[str, Any], what: str) -> str:
    """What became of an event, as one line of JSON."""
    return json.dumps({"what": what, "event": event})


def away(now: float, why: str, *, as_json: bool) -> str:
    """The controller does not answer."""
    if as_json:
        return json.dumps({"what": "no_answer", "at": stamp(now), "message": why})
    return f"{stamp(now)}  NO ANSWER: {clean(why)}"


def stamp(at: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bandwidth(tested: Bandwidths) -> dict[str, Any]:
    return {
        "at": stamp(tested.asked_at),
        "measured_pairs": tested.measured,
        "gaps": dict(tested.gaps),
        "untested_pairs": tested.to_come,
        "offered_bits_per_second": tested.offered,
        "median_bits_per_second": tested.median,
        "oldest_seconds": tested.oldest_seconds(tested.asked_at),
        "slowest": [_pair(one, "bits_per_second") for one in tested.slowest(_WORST)],
    }


def _pair(one: Worst, unit: str) -> dict[str, Any]:
    return {"source": one.source, "target": one.target, unit: one.number}
