"""The watched mesh as one screen: how it stands, what is open, the worst pairs, the matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from netmesh_common.units import format_duration
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.watch.bandwidths import Bandwidths
from netmesh_controller.surfaces.terminal.watch.seen import Seen, Worst, moment
from netmesh_controller.surfaces.terminal.watch.squares import matrix_lines, square_of
from netmesh_controller.surfaces.terminal.words import clean, count, wrapped

KEYS = "q quit   s statistic   w window   ? the reasons of gaps"
_WORST = 5
# Windows end every 5 s, and are told 2 s later: what is older than this has not come.
STALE_SECONDS = 30.0
_WINDOWS = {10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}


@dataclass(slots=True)
class Screen:
    """What there is to show. `away` says why the controller does not answer, `answered` when it last did.

    `events` are as the API tells them, the open ones; `closed` those that closed lately; `checks` are those beside the
    probe; `tested` is bandwidth in the background, None where there is none.
    """

    where: str
    shown: str = "p50"
    seen: Seen | None = None
    waiting: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    tested: Bandwidths | None = None
    away: str = ""
    answered: float = 0.0
    gaps: bool = False


def picture(screen: Screen, width: int, height: int, now: float) -> list[Text]:
    """At most `height` lines of at most `width` columns; `now` is in seconds since 1970."""
    seen = screen.seen
    lines = [_cut(_head(screen, now), width)]
    if screen.away:
        since = "" if not screen.answered else f", for {_ago(now - screen.answered)}"
        lines += [Text(one, f"bold {palette.VERY_BAD}") for one in wrapped(f"NO ANSWER{since}: {screen.away}", width)]
        if seen is not None:
            lines.append(_cut(Text(f"What stands below is of {_clock(seen.ended)}.", palette.VERY_BAD), width))
    if seen is None:
        lines += [Text(one) for one in wrapped(screen.waiting or "reading the mesh", width)]
        return _framed(lines, width, height)
    if not screen.away and now - seen.ended > STALE_SECONDS:
        said = f"OLD: the last window ended {_ago(now - seen.ended)} ago, by this machine's clock"
        lines.append(_cut(Text(said, palette.VERY_BAD), width))
    lines.append(_cut(_counts(seen), width))
    room = height - len(lines) - 2
    lines += _events(screen, width, max(3, room // 3), now)
    lines += _agents(seen, width, 3)
    lines += _checks(screen.checks, width, 3)
    if screen.tested is not None:
        told = wrapped(bandwidth(screen.tested, now), width, "", "  ")
        lines += [_cut(Text(one, palette.QUIET), width) for one in told[:3]]
    elif screen.shown == "bandwidth":
        said = f"bandwidth is not tested there (serve --background-bandwidth): the matrix shows {seen.statistic}"
        lines.append(_cut(Text(said, palette.BAD), width))
    if screen.gaps:
        lines += _reasons(seen, width)
    lines += _worst(screen, seen, width, min(_WORST, max(1, (height - len(lines)) // 5)))
    left = height - len(lines) - 2
    drawn = matrix_lines(square_of(seen, screen.shown, screen.tested), width, left)
    lines += [Text(""), *drawn] if drawn else []
    return _framed(lines, width, height)


def _framed(lines: Sequence[Text], width: int, height: int) -> list[Text]:
    body = list(lines)[: height - 1]
    return [*body, *[Text("")] * (height - 1 - len(body)), _cut(Text(KEYS, palette.QUIET), width)]


def _head(screen: Screen, now: float) -> Text:
    line = Text("netmesh ", "bold")
    line.append(screen.where)
    seen = screen.seen
    if seen is not None:
        age = _ago(max(0.0, now - seen.ended))
        line.append(f"   last {_WINDOWS.get(seen.seconds, f'{seen.seconds} s')} until {_clock(seen.ended)}, {age} ago")
    return line


def _counts(seen: Seen) -> Text:
    gaps = seen.gaps.total()
    text = Text(f"{count(len(seen.nodes), 'node')}, {count(seen.measured, 'pair')} measured")
    if gaps:
        told = ", ".join(f"{code} {number}" for code, number in seen.gaps.most_common(3))
        text.append(f", {count(gaps, 'gap')} ({told})", palette.BAD)
    middle, loss = seen.median_seconds, seen.loss_ratio
    if middle is not None:
        text.append(f", median {scale_for('', 's', [middle]).full(middle)}")
    if loss is not None:
        text.append(f", {percent(loss)} lost", palette.BAD if loss > 0 else "")
    if seen.own:
        text.append(f"; netmesh's own tests run at {count(len(seen.own), 'node')}", palette.QUIET)
    if seen.marked:
        text.append(f"; {count(len(seen.marked), 'agent')} held up", palette.QUIET)
    return text


def _events(screen: Screen, width: int, room: int, now: float) -> list[Text]:
    if not screen.events:
        lines = [Text("no event is open", palette.GOOD)]
        for event in screen.closed[:2]:
            since = _ago(now - moment(event["closed_at"]))
            cause = " (node away)" if event["cause"] == "node_away" else ""
            said = f"  closed {since} ago{cause}: {clean(event['finding']['sentence'])}"
            lines.append(_cut(Text(said, palette.QUIET), width))
        return lines
    lines = [Text(f"{count(len(screen.events), 'open event')}", f"bold {palette.VERY_BAD}")]
    shown = screen.events if len(screen.events) < room else screen.events[: max(1, room - 2)]
    # A sentence is read whole where there is room for it.
    most = max(1, (room - 1) // len(shown))
    for event in shown:
        kind = event["kind"].replace("_", " ")
        said = f"{kind}, for {_ago(now - moment(event['since']))}: {clean(event['finding']['sentence'])}"
        told = wrapped(said, width, "  ", "    ")
        if len(told) > most:
            told = [
                *told[: most - 1],
                f"{' ' * (4 if most > 1 else 2)}{' '.join(one.strip() for one in told[most - 1 :])}",
            ]
        for number, one in enumerate(told):
            line = Text(one)
            if number == 0:
                line.stylize(palette.VERY_BAD, 2, 2 + len(kind))
            lines.append(_cut(line, width))
    if len(shown) < len(screen.events):
        lines.append(Text(f"  and {len(screen.events) - len(shown)} more", palette.QUIET))
    return lines


def _agents(seen: Seen, width: int, room: int) -> list[Text]:
    if not seen.missing:
        return []
    lines = [
        _cut(Text(f"  without figures: {node}: {clean(why).removeprefix(f'{node}: ')}", palette.GAP), width)
        for node, why in list(seen.missing.items())[:room]
    ]
    if len(seen.missing) > room:
        lines.append(Text(f"  and {count(len(seen.missing) - room, 'more node')}", palette.QUIET))
    return lines


def _checks(checks: Sequence[dict[str, Any]], width: int, room: int) -> list[Text]:
    """Those that failed in the window, or that none did; nothing where none is configured."""
    if not checks:
        return []
    bad = failing(checks)
    if not bad:
        return [Text(f"{count(len(checks), 'check')} beside the probe: none failed", palette.QUIET)]
    lines = [
        _cut(
            Text(
                f"  check {clean(one['check'])} at {one['node']}: {one['failed']} of {one['count']} failed, "
                f"{one['reason']}: {clean(one['message'])}",
                palette.BAD,
            ),
            width,
        )
        for one in bad[:room]
    ]
    if len(bad) > room:
        lines.append(Text(f"  and {count(len(bad) - room, 'more check')}", palette.QUIET))
    return lines


def failing(checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks that failed in the window, the worst first."""
    return sorted((one for one in checks if one["failed"]), key=lambda one: one["failed"] / one["count"], reverse=True)


def bandwidth(tested: Bandwidths, now: float) -> str:
    """Bandwidth in the background, in one line."""
    words = [f"{count(tested.measured, 'pair')} measured"]
    if tested.gaps:
        words.append(f"{count(tested.gaps.total(), 'gap')} ({', '.join(sorted(tested.gaps))})")
    if tested.to_come:
        words.append(f"{tested.to_come} not yet")
    middle = tested.median
    if middle is not None:
        scale = scale_for("", "bit/s", [middle])
        words.append(f"median {scale.full(middle)}")
        words += [f"slowest {one.source} -> {one.target} {scale.full(one.number)}" for one in tested.slowest(1)]
    if tested.offered is not None:
        words.append(f"offered {scale_for('', 'bit/s', [tested.offered]).full(tested.offered)}")
    oldest = tested.oldest_seconds(now)
    if oldest is not None:
        words.append(f"oldest {_ago(oldest)}")
    return f"TCP bandwidth: {', '.join(words)}"


def _reasons(seen: Seen, width: int) -> list[Text]:
    if not seen.gaps:
        return [Text("no pair is without a figure", palette.QUIET)]
    return [_cut(Text(f"  {code}: {count(number, 'pair')}"), width) for code, number in seen.gaps.most_common()]


def _worst(screen: Screen, seen: Seen, width: int, room: int) -> list[Text]:
    """Two lists side by side, one below the other where the screen is narrow."""
    if screen.shown == "bandwidth" and screen.tested is not None:
        slow, title = screen.tested.slowest(room), "slowest, TCP bandwidth"
        scale = scale_for("", "bit/s", [one.number for one in slow])
    else:
        slow, title = seen.worst(seen.times, room), f"slowest, {seen.statistic}"
        scale = scale_for("", "s", [one.number for one in slow])
    lossy = seen.worst(seen.losses, room, above=0.0)
    left = _list(title, slow, scale.full)
    right = _list("most lost", lossy, percent) if lossy else [Text("nothing lost", palette.QUIET)]
    half = width // 2 - 1
    if max(line.cell_len for line in (*left, *right)) > half:
        return [_cut(line, width) for line in (*left, *right)]
    lines: list[Text] = []
    for place in range(max(len(left), len(right))):
        line = left[place].copy() if place < len(left) else Text("")
        line.append(" " * (half + 2 - line.cell_len))
        if place < len(right):
            line.append_text(right[place])
        lines.append(line)
    return lines


def _list(title: str, pairs: Sequence[Worst], text: Callable[[float], str]) -> list[Text]:
    lines = [Text(title if pairs else f"{title}: no figure", "bold")]
    texts = [text(one.number) for one in pairs]
    room = max([9, *map(len, texts)])
    return lines + [
        Text(f"  {said:>{room}}  {one.source} -> {one.target}") for said, one in zip(texts, pairs, strict=True)
    ]


def percent(ratio: float) -> str:
    """A ratio for people; what is not nothing is never shown as 0."""
    if ratio == 0:
        return "0 %"
    return f"{ratio * 100:.2g} %" if ratio < 0.1 else f"{ratio * 100:.0f} %"


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _ago(seconds: float) -> str:
    return format_duration(max(0, round(seconds)))


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")
