"""What the mesh was like, minute by minute: small whole numbers over all pairs, packed. Pure.

Counts of probes are exact. Round trips are codes of equal ratios, 2 % apart, so that a time read back is off by at most
`RELATIVE_ERROR`. Where a pair has no count it has a reason, a place in `live.CODES`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import zstandard
from numpy.typing import NDArray

from netmesh_controller.mesh.probing import scale
from netmesh_controller.mesh.probing.live import CODES, NO_STAMPS, Standing, reasons_of
from netmesh_controller.mesh.probing.windows import Counts, PeerReport, Window, empty, take

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
KEPT_SECONDS = {MINUTE: 24 * HOUR, TEN_MINUTES: 7 * 24 * HOUR}
# The scale of live windows has 63 steps where this one has one.
_COARSER = 63
RELATIVE_ERROR = math.expm1(math.log(scale.LONGEST_SECONDS / scale.SHORTEST_SECONDS) / 65534 * (_COARSER + 1) / 2)
COUNTS = ("sent", "lost")
TIMES = ("min", "p50", "max")
FLAGS = ("reason", "marks")
VALUES = (*COUNTS, *TIMES, *FLAGS)
OWN_TRAFFIC, MARKED = 1, 2
_LEVEL = 6

Numbers = NDArray[np.uint16]


def coarse(codes: scale.Codes) -> Numbers:
    """Codes of live windows as those of the history; unknown stays 0."""
    made: Numbers = ((codes.astype(np.uint32) + (_COARSER - 1)) // _COARSER).astype(np.uint16)
    return made


def seconds_of(codes: Numbers) -> NDArray[np.float64]:
    """Round trips in seconds; not-a-number where unknown."""
    middle = (codes.astype(np.float64) - 0.5) * _COARSER + 0.5
    times = scale.SHORTEST_SECONDS * (scale.LONGEST_SECONDS / scale.SHORTEST_SECONDS) ** ((middle - 1) / 65534)
    return np.where(codes == 0, np.nan, times)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What is known of some pairs in the minute that begins at `started`: arrays (sources, targets) by value.

    `again`: the minute has been before, by a clock that was set back since; its figures take the place of those.
    """

    started: int
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    values: Mapping[str, Numbers]
    again: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Steps of a stretch over all pairs of `nodes`: arrays (steps, n, n) by value."""

    nodes: tuple[str, ...]
    values: Mapping[str, Numbers]

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(next(iter(self.values.values())))


def patch_of_window(window: Window, standing: Standing, *, again: bool = False) -> Patch:
    """A minute of the mesh as it was watched; `again` as `Patch` has it."""
    reasons = reasons_of(standing, window).astype(np.uint16)
    marks = np.zeros(reasons.shape, np.uint16)
    for names, bit in ((standing.own, OWN_TRAFFIC), (standing.marked, MARKED)):
        places = standing.places(names)
        marks[places, :] |= bit
        if bit == OWN_TRAFFIC:
            marks[:, places] |= bit
    marks[reasons != 0] = 0
    # Where the reason is the target's agent, what was sent says nothing.
    known = reasons == 0
    return Patch(
        window.started,
        standing.nodes,
        standing.nodes,
        {**_figures(window, known), "reason": reasons, "marks": marks},
        again,
    )


def patch_of_report(base: int, source: str, nodes: Sequence[str], report: PeerReport) -> Patch:
    """What came late of one node: its pairs in the minute that the base window is in."""
    # A window of one row and of its own targets: they come by the hundred, of a mesh that may have a million pairs.
    count = len(report.targets)
    window = empty(count, base, sources=1)
    take(window, replace(report, source=0, targets=np.arange(count)))
    flags = {name: np.zeros((1, count), np.uint16) for name in FLAGS}
    targets = tuple(nodes[place] for place in report.targets)
    return Patch(base // MINUTE * MINUTE, (source,), targets, {**_figures(window, window.sent > 0), **flags})


def _figures(window: Window, known: NDArray[np.bool_]) -> dict[str, Numbers]:
    columns = {
        "sent": _within(window.sent),
        "lost": _within(window.lost),
        "min": coarse(window.shortest),
        "p50": coarse(window.middle),
        "max": coarse(window.longest),
    }
    return {name: np.where(known, column, np.uint16(0)).astype(np.uint16) for name, column in columns.items()}


def _within(counts: Counts) -> Numbers:
    # An ended window's counts may be bytes, beside which numpy takes no larger number.
    return np.minimum(counts, np.uint32(65535)).astype(np.uint16)


def merged(block: Block | None, patches: Sequence[Patch]) -> Block:
    """A minute's block with what patches know beside it: counts add up, extremes fold, a figure goes before a reason.

    The middle is that of the part with more probes.
    """
    names = () if block is None else block.nodes
    told = dict.fromkeys(name for patch in patches for name in (*patch.sources, *patch.targets))
    nodes = tuple(dict.fromkeys((*names, *told)))
    size, known = len(nodes), len(names)
    grown = {name: np.zeros((size, size), np.uint16) for name in VALUES}
    if block is not None:
        for name in VALUES:
            grown[name][:known, :known] = block.values[name][0]
    place = {name: number for number, name in enumerate(nodes)}
    for patch in patches:
        where = np.ix_([place[name] for name in patch.sources], [place[name] for name in patch.targets])
        here = {name: column[where] for name, column in grown.items()}
        if patch.again:
            here = {name: np.where(patch.values["sent"] > 0, np.uint16(0), column) for name, column in here.items()}
        for name, column in _folded(here, patch.values).items():
            grown[name][where] = column
    return Block(nodes, {name: column[None] for name, column in grown.items()})


def _folded(here: Mapping[str, Numbers], new: Mapping[str, Numbers]) -> dict[str, Numbers]:
    more = new["sent"] > here["sent"]
    total = np.minimum(here["sent"].astype(np.uint32) + new["sent"], 65535).astype(np.uint16)
    least = np.minimum(here["min"] - np.uint16(1), new["min"] - np.uint16(1)) + np.uint16(1)
    middle = np.where((new["p50"] != 0) & (more | (here["p50"] == 0)), new["p50"], here["p50"])
    return {
        "sent": total,
        "lost": np.minimum(here["lost"].astype(np.uint32) + new["lost"], 65535).astype(np.uint16),
        "min": least,
        "p50": middle,
        "max": np.maximum(here["max"], new["max"]),
        "reason": np.where(total > 0, 0, np.where(new["reason"] != 0, new["reason"], here["reason"])).astype(np.uint16),
        "marks": here["marks"] | new["marks"],
    }


def stacked(steps: Iterable[Block | None], nodes: Sequence[str], count: int, values: Sequence[str] = VALUES) -> Block:
    """`count` steps one after the other, some values of them, over `nodes`; None is one in which nothing is known."""
    place = {name: number for number, name in enumerate(nodes)}
    columns = {name: np.zeros((count, len(nodes), len(nodes)), np.uint16) for name in values}
    for step, block in enumerate(steps):
        if block is not None:
            where = np.ix_([place[name] for name in block.nodes], [place[name] for name in block.nodes])
            for name in values:
                columns[name][step][where] = block.values[name][0]
    return Block(tuple(nodes), columns)


def nodes_of(blocks: Iterable[Block | None]) -> tuple[str, ...]:
    """The nodes of any of them."""
    return tuple(dict.fromkeys(name for block in blocks if block is not None for name in block.nodes))


def tens(block: Block, sent: Numbers | None = None) -> Block:
    """The same in steps of ten: counts add up, extremes fold, the middle is the median of the middles.

    Any values may be there; ValueError for reasons without counts: `sent`, in steps of ten, where they are not among
    the values.
    """
    made: dict[str, Numbers] = {}
    for name, column in block.values.items():
        # One ten after the other: of a mesh of a thousand nodes an hour of one value is 120 MB.
        parts = [_TEN[name](column[first : first + 10]) for first in range(0, len(column), 10)]
        made[name] = np.stack(parts).astype(np.uint16)
    if "reason" in made:
        counts = made.get("sent", sent)
        if counts is None:
            raise ValueError("whether a reason stands is told by what was sent")
        made["reason"] = np.where(counts > 0, 0, made["reason"]).astype(np.uint16)
    return Block(block.nodes, made)


def _total(column: Numbers) -> Numbers:
    total: Numbers = np.minimum(column.sum(axis=0, dtype=np.uint32), 65535).astype(np.uint16)
    return total


def _middle(column: Numbers) -> Numbers:
    """The lower median of what is known over the first axis."""
    ordered = np.sort(column, axis=0)
    count = np.count_nonzero(column, axis=0)
    place = np.minimum(len(column) - count + np.maximum(count - 1, 0) // 2, len(column) - 1)
    made: Numbers = np.where(count > 0, np.take_along_axis(ordered, place[None], axis=0)[0], 0).astype(np.uint16)
    return made


# What ten steps of a value are, over the first axis. A reason stands only where nothing was sent.
_TEN: Mapping[str, Callable[[Numbers], Numbers]] = {
    "sent": _total,
    "lost": _total,
    "min": lambda column: (column - np.uint16(1)).min(axis=0) + np.uint16(1),
    "p50": _middle,
    "max": lambda column: column.max(axis=0),
    "reason": lambda column: column.max(axis=0),
    "marks": lambda column: np.bitwise_or.reduce(column, axis=0),
}


def packed(block: Block, values: Sequence[str] = VALUES) -> bytes:
    """Some values of a block as bytes: each pair's steps one after the other, low bytes and high bytes apart."""
    header = json.dumps({"nodes": block.nodes, "steps": block.steps, "values": list(values)}).encode()
    size = 4 + len(header) + 2 * len(values) * block.steps * len(block.nodes) ** 2
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=size)
    parts = [compressor.compress(len(header).to_bytes(4, "little") + header)]
    for name in values:
        for shift in (0, 8):
            # A source at a time: nothing is there twice.
            rows = (block.values[name][:, row].T >> shift for row in range(len(block.nodes)))
            parts += [compressor.compress((series & 0xFF).astype(np.uint8).tobytes()) for series in rows]
    return b"".join((*parts, compressor.flush()))


def unpacked(data: bytes, *, nodes: Sequence[str] | None = None, values: Sequence[str] | None = None) -> Block:
    """The block that `packed` made bytes of, or those of its nodes and values; ValueError where they are none."""
    try:
        plain = zstandard.ZstdDecompressor().decompress(data)
        length = int.from_bytes(plain[:4], "little")
        header = json.loads(plain[4 : 4 + length])
        names, steps = tuple(header["nodes"]), header["steps"]
        planes = np.frombuffer(plain, np.uint8, offset=4 + length)
        planes = planes.reshape(len(header["values"]), 2, len(names), len(names), steps)
        found = {}
        kept = names if nodes is None else tuple(name for name in nodes if name in names)
        # All of them as a view, some as a copy.
        places = slice(None) if nodes is None else [names.index(name) for name in kept]
        for number, name in enumerate(header["values"]):
            if values is None or name in values:
                low, high = planes[number][:, places][:, :, places]
                series = low.astype(np.uint16) | (high.astype(np.uint16) << 8)
                found[name] = np.ascontiguousarray(series.transpose(2, 0, 1))
    except (zstandard.ZstdError, KeyError, TypeError) as error:
        raise ValueError(f"these bytes are no block of history: {error}") from error
    return Block(kept, found)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """A pair's steps, one after the other: numbers, or None and a reason."""

    sent: list[int | None]
    lost: list[int | None]
    times: Mapping[str, list[float | None]]
    reasons: list[str | None]
    own_traffic: list[bool]
    marked: list[bool]

    @property
    def is_known(self) -> bool:
        """Whether anything was recorded of the pair, a reason at least."""
        return any(reason != NOT_RECORDED for reason in self.reasons)


# No controller watched, or the store was away for longer than could be kept.
NOT_RECORDED = "not_recorded"


def points(blocks: Sequence[tuple[int, Block]], source: str, target: str, step: int, since: int, until: int) -> Points:
    """A pair's steps from `since` up to `until` (seconds since 1970), out of blocks that each begin at a time."""
    count = max(0, -(-(until - since) // step))
    columns = {name: np.zeros(count, np.uint16) for name in VALUES}
    for started, block in blocks:
        if source not in block.nodes or target not in block.nodes:
            continue
        row, column = block.nodes.index(source), block.nodes.index(target)
        first = (started - since) // step
        begin, end = max(first, 0), min(first + block.steps, count)
        if begin < end:
            for name in VALUES:
                columns[name][begin:end] = block.values[name][begin - first : end - first, row, column]
    known = columns["sent"] > 0
    times = {name: seconds_of(columns[name]) for name in TIMES}
    timeless = np.where(columns["lost"] >= columns["sent"], "loss", CODES[NO_STAMPS])
    reasons = [
        (str(timeless[at]) if columns["p50"][at] == 0 else None)
        if known[at]
        else CODES[columns["reason"][at]] or NOT_RECORDED
        for at in range(count)
    ]
    return Points(
        sent=_counts(columns["sent"], known),
        lost=_counts(columns["lost"], known),
        times={name: [None if math.isnan(one) else float(one) for one in column] for name, column in times.items()},
        reasons=reasons,
        own_traffic=[bool(one) for one in columns["marks"] & OWN_TRAFFIC],
        marked=[bool(one) for one in columns["marks"] & MARKED],
    )


def _counts(column: Numbers, known: NDArray[np.bool_]) -> list[int | None]:
    return [int(one) if is_known else None for one, is_known in zip(column, known, strict=True)]
