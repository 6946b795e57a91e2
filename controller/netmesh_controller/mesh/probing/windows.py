"""Rolling windows of the continuous probe: 10 s, 1 min, 10 min, 1 h, as columns of numpy arrays over all pairs.

A window keeps, for each ordered pair, how many probes were sent and lost, and the shortest, middle and longest round
trip as codes of `scale`. Windows are made of parts: 10 s of two of the 5 s that a report is of, a minute of twelve, ten
minutes of ten of these, and so on. Sums, minima and maxima of parts are those of the whole. The middle (p50) of 5 s is
the median of their round trips; that of a longer window is the median of its parts' medians (the remedian of Rousseeuw
and Bassett, 1990), and is told as such.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.probing.scale import UNKNOWN, Codes, encode

# What a report is of, and how often the mesh is judged: half of the shortest window that is shown.
BASE_SECONDS = 5
# Each longer window's length in seconds, and of how many parts of the one before it is made.
LONGER = ((60, 12), (600, 10), (3600, 6))
# The shortest that is shown: two of the parts that a minute is made of. It has moved on with each of them.
SHORTEST_SECONDS = 10
LENGTHS = (BASE_SECONDS, *(seconds for seconds, _ in LONGER))

# As wide as the counts need: a window that has ended is kept with the fewest bytes.
Counts = NDArray[np.unsignedinteger[Any]]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Window:
    """Columns over all ordered pairs, each of shape (nodes, nodes): rows are sources, columns targets.

    `sent` and `lost` are counts; `shortest`, `middle` and `longest` are codes of round trips, 0 where there is none.
    `started` is in whole seconds since 1970, UTC; `parts` of `parts_whole` parts have been seen.
    """

    started: int
    seconds: int
    sent: Counts
    lost: Counts
    shortest: Codes
    middle: Codes
    longest: Codes
    parts: int = 1
    parts_whole: int = 1

    @property
    def loss_ratio(self) -> NDArray[np.float64]:
        """Lost over sent, not-a-number where nothing was sent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.sent > 0, self.lost / self.sent, np.nan)

    def reordered(self, places: Sequence[int | None]) -> Window:
        """The same for another set of nodes: `places` says where each was, None for one that is new."""
        return Window(
            self.started,
            self.seconds,
            _reordered(self.sent, places),
            _reordered(self.lost, places),
            _reordered(self.shortest, places),
            _reordered(self.middle, places),
            _reordered(self.longest, places),
            self.parts,
            self.parts_whole,
        )


def empty(size: int, started: int, seconds: int = BASE_SECONDS, *, sources: int | None = None) -> Window:
    """A window of `size` targets in which nothing was sent, and of as many sources where nothing else is said."""
    shape = (size if sources is None else sources, size)
    counts, codes = np.zeros(shape, np.uint32), np.zeros(shape, np.uint16)
    return Window(started, seconds, counts, counts.copy(), codes, codes.copy(), codes.copy())


def _reordered(column: NDArray[Number], places: Sequence[int | None]) -> NDArray[Number]:
    result: NDArray[Number] = np.zeros((len(places), len(places)), column.dtype)
    new = [place for place, old in enumerate(places) if old is not None]
    old = [place for place in places if place is not None]
    result[np.ix_(new, new)] = column[np.ix_(old, old)]
    return result


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What one node saw of its peers in one base window, column by column.

    `targets` are places of nodes; `sent` and `lost` go with them; `round_trips_seconds` holds the round trips of all
    peers one after the other, `answered` how many are each peer's.
    """

    source: int
    targets: NDArray[np.intp]
    sent: NDArray[np.uint32]
    lost: NDArray[np.uint32]
    answered: NDArray[np.intp]
    round_trips_seconds: NDArray[np.float64]


def take(window: Window, report: PeerReport, *, more: bool = False) -> None:
    """Writes a report into a base window, in place; a second report of the same source replaces the first's peers.

    `more`: the report is of another part of the same window, and adds to what is there. The middle is then that of the
    part with more answers.
    """
    before = _cells(window, report) if more else None
    _write(window, report)
    if before is not None:
        _add(window, report, before)


def _cells(window: Window, report: PeerReport) -> tuple[NDArray[Any], ...]:
    columns = (window.sent, window.lost, window.shortest, window.middle, window.longest)
    return tuple(column[report.source, report.targets] for column in columns)


def _add(window: Window, report: PeerReport, before: tuple[NDArray[Any], ...]) -> None:
    sent, lost, shortest, middle, longest = before
    row, targets = report.source, report.targets
    fewer = report.answered < sent.astype(np.int64) - lost
    window.sent[row, targets] += sent
    window.lost[row, targets] += lost
    window.shortest[row, targets] = least(np.stack([shortest, window.shortest[row, targets]]))
    window.longest[row, targets] = np.maximum(longest, window.longest[row, targets])
    now = window.middle[row, targets]
    window.middle[row, targets] = np.where((middle != UNKNOWN) & (fewer | (now == UNKNOWN)), middle, now)


def without_losses_to(window: Window, targets: NDArray[np.intp]) -> None:
    """Takes out, in place, the probes to those nodes that were lost: of a reflector that was not there they say that,
    and nothing of the network. Those that were answered stay.
    """
    window.sent[:, targets] -= window.lost[:, targets]
    window.lost[:, targets] = 0


def narrowed(counts: Counts) -> Counts:
    """The same counts in as few bytes as hold the largest: of a thousand nodes, each byte of a pair is a megabyte."""
    largest = int(counts.max(initial=0))
    for width in (np.uint8, np.uint16):
        if largest <= np.iinfo(width).max:
            return counts.astype(width)
    return counts


def _kept(window: Window) -> Window:
    return replace(window, sent=narrowed(window.sent), lost=narrowed(window.lost))


def least(codes: Codes) -> Codes:
    """The least of the known codes over the first axis; unknown where none is."""
    # Unknown is 0 and would be the minimum: one below it wraps around to the largest code.
    made: Codes = (codes - np.uint16(1)).min(axis=0) + np.uint16(1)
    return made


def _write(window: Window, report: PeerReport) -> None:
    row = report.source
    window.sent[row, report.targets] = report.sent
    window.lost[row, report.targets] = report.lost
    for column in (window.shortest, window.middle, window.longest):
        column[row, report.targets] = UNKNOWN
    some = report.answered > 0
    if not some.any():
        return
    targets, counts = report.targets[some], report.answered[some]
    ordered = _sorted_by_peer(report.round_trips_seconds, counts)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    last = first + counts - 1
    window.shortest[row, targets] = encode(ordered[first])
    window.longest[row, targets] = encode(ordered[last])
    low, high = ordered[first + (counts - 1) // 2], ordered[first + counts // 2]
    window.middle[row, targets] = encode((low + high) / 2)


def _sorted_by_peer(times: NDArray[np.float64], counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Each peer's round trips in order, peer after peer; `counts` has one at least for each."""
    if (counts == counts[0]).all():
        # The usual case, and five times as quick: nothing is lost, and all are probed at the same pace.
        return np.sort(times.reshape(len(counts), int(counts[0])), axis=1).ravel()
    return times[np.lexsort((times, np.repeat(np.arange(len(counts)), counts)))]


def rolled(parts: Sequence[Window], seconds: int, parts_whole: int) -> Window:
    """The window that consecutive parts make; ValueError without parts."""
    if not parts:
        raise ValueError("a window is made of at least one part")
    return Window(
        parts[0].started,
        seconds,
        _sum([part.sent for part in parts]),
        _sum([part.lost for part in parts]),
        least(np.stack([part.shortest for part in parts])),
        _median_code(np.stack([part.middle for part in parts])),
        np.max([part.longest for part in parts], axis=0),
        len(parts),
        parts_whole,
    )


def _sum(parts: Sequence[Counts]) -> Counts:
    total = np.zeros(parts[0].shape, np.uint32)
    for part in parts:
        total += part
    return total


def _median_code(codes: Codes) -> Codes:
    """The median over the first axis of the codes that are known; unknown where none is."""
    count = (codes != UNKNOWN).sum(axis=0)
    ordered = np.sort(codes, axis=0)  # the unknown ones first
    unknown = len(codes) - count
    low = np.minimum(unknown + np.maximum(count - 1, 0) // 2, len(codes) - 1)
    high = np.minimum(unknown + count // 2, len(codes) - 1)
    below = np.take_along_axis(ordered, low[None], axis=0)[0].astype(np.uint32)
    above = np.take_along_axis(ordered, high[None], axis=0)[0].astype(np.uint32)
    # Between two codes lies their geometric mean: the scale is logarithmic.
    return np.where(count > 0, (below + above) // 2, UNKNOWN).astype(np.uint16)


class RollingWindows:
    """The windows of a mesh, the base one as it fills and the longer ones over its last parts."""

    def __init__(self, nodes: Sequence[str], started: int) -> None:
        self._nodes = tuple(nodes)
        self._base = empty(len(self._nodes), started)
        self._parts: dict[int, deque[Window]] = {seconds: deque(maxlen=count) for seconds, count in LONGER}
        self._closed: Window | None = None
        self._ended = dict.fromkeys((seconds for seconds, _ in LONGER), 0)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names, in the order of rows and columns."""
        return self._nodes

    @property
    def filling(self) -> Window:
        """The base window that fills now: reports are taken into it."""
        return self._base

    def with_nodes(self, nodes: Sequence[str]) -> None:
        """The mesh is these nodes from now on; what is known of those that stay is kept."""
        before = {name: place for place, name in enumerate(self._nodes)}
        places = [before.get(name) for name in nodes]
        self._nodes = tuple(nodes)
        self._base = self._base.reordered(places)
        if self._closed is not None:
            self._closed = self._closed.reordered(places)
        for seconds, parts in self._parts.items():
            self._parts[seconds] = deque((part.reordered(places) for part in parts), maxlen=parts.maxlen)

    def close(self) -> dict[int, Window]:
        """Ends the base window and begins the next; returns the windows that ended now whole, by their length."""
        part = self._closed = _kept(self._base)
        self._base = empty(len(self._nodes), part.started + BASE_SECONDS)
        ended = {BASE_SECONDS: part}
        for seconds, count in LONGER:
            parts = self._parts[seconds]
            parts.append(part)
            self._ended[seconds] += 1
            if self._ended[seconds] % count:
                break
            part = ended[seconds] = _kept(rolled(parts, seconds, count))
        return ended

    def window(self, seconds: int) -> Window | None:
        """The last window of that length, what has begun of its last part included; None before the first part.

        Fewer parts than a whole window has at first, and its last part is under way: it is told by `parts`.
        """
        if seconds == BASE_SECONDS:
            return self._closed
        if seconds == SHORTEST_SECONDS:
            last = list(self._parts[LONGER[0][0]])[-(SHORTEST_SECONDS // BASE_SECONDS) :]
            return rolled(last, seconds, SHORTEST_SECONDS // BASE_SECONDS) if last else None
        count = dict(LONGER)[seconds]
        parts = [*self._parts[seconds], *self._under_way(_shorter(seconds))][-count:]
        return rolled(parts, seconds, count) if parts else None

    def _under_way(self, seconds: int) -> list[Window]:
        """The window of that length that has begun and not ended, as far as its own parts have; or none."""
        if seconds == BASE_SECONDS:
            return []
        count = dict(LONGER)[seconds]
        begun = self._ended[seconds] % count
        parts = [*list(self._parts[seconds])[len(self._parts[seconds]) - begun :], *self._under_way(_shorter(seconds))]
        return [rolled(parts, seconds, count)] if parts else []


def _shorter(seconds: int) -> int:
    return LENGTHS[LENGTHS.index(seconds) - 1]
