"""What the mesh was like, minute by minute: small whole numbers over all pairs, packed. Pure.

Counts of probes are exact. Round trips are codes of equal ratios, 2 % apart, so that a time read back is off by at most
`RELATIVE_ERROR`. Where a pair has no count it has a reason, a place in `live.CODES`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from netmesh_controller.mesh.probing import scale
from netmesh_controller.mesh.probing.live import CODES, NO_STAMPS, Standing, reasons_of
from netmesh_controller.mesh.probing.windows import PeerReport, Window, empty, take

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
KEPT_SECONDS = {MINUTE: 24 * HOUR, TEN_MINUTES: 7 * 24 * HOUR}
# The scale of live windows has 63 steps where this one has one.
_COARSER = 63
_TOP = math.ceil(65535 / _COARSER)
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
    """What is known of some pairs in the minute that begins at `started`: arrays (sources, targets) by value."""

    started: int
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    values: Mapping[str, Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Steps of a stretch over all pairs of `nodes`: arrays (steps, n, n) by value."""

    nodes: tuple[str, ...]
    values: Mapping[str, Numbers]

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(next(iter(self.values.values())))


def patch_of_window(window: Window, standing: Standing) -> Patch:
    """A minute of the mesh as it was watched."""
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
    )


def patch_of_report(base: int, source: str, nodes: Sequence[str], report: PeerReport) -> Patch:
    """What came late of one node: its pairs in the minute that the base window is in."""
    window = empty(len(nodes), base)
    take(window, report)
    row = report.source
    figures = {
        name: column[row : row + 1, report.targets] for name, column in _figures(window, window.sent > 0).items()
    }
    targets = tuple(nodes[place] for place in report.targets)
    flags = {name: np.zeros((1, len(targets)), np.uint16) for name in FLAGS}
    return Patch(base // MINUTE * MINUTE, (source,), targets, {**figures, **flags})


def _figures(window: Window, known: NDArray[np.bool_]) -> dict[str, Numbers]:
    columns = {
        "sent": np.minimum(window.sent, 65535).astype(np.uint16),
        "lost": np.minimum(window.lost, 65535).astype(np.uint16),
        "min": coarse(window.shortest),
        "p50": coarse(window.middle),
        "max": coarse(window.longest),
    }
    return {name: np.where(known, column, np.uint16(0)).astype(np.uint16) for name, column in columns.items()}


def merged(block: Block | None, patch: Patch) -> Block:
    """A minute's block with what a patch knows beside it: counts add up, extremes fold, a figure goes before a reason.

    The middle is that of the part with more probes.
    """
    names = () if block is None else block.nodes
    nodes = (*names, *dict.fromkeys(name for name in (*patch.sources, *patch.targets) if name not in set(names)))
    size, known = len(nodes), len(names)
    grown = {name: np.zeros((size, size), np.uint16) for name in VALUES}
    if block is not None:
        for name in VALUES:
            grown[name][:known, :known] = block.values[name][0]
    place = {name: number for number, name in enumerate(nodes)}
    where = np.ix_([place[name] for name in patch.sources], [place[name] for name in patch.targets])
    here = {name: column[where] for name, column in grown.items()}
    new = patch.values
    more = new["sent"] > here["sent"]
    total = np.minimum(here["sent"].astype(np.uint32) + new["sent"], 65535).astype(np.uint16)
    least = np.minimum(here["min"] - np.uint16(1), new["min"] - np.uint16(1)) + np.uint16(1)
    middle = np.where((new["p50"] != 0) & (more | (here["p50"] == 0)), new["p50"], here["p50"])
    made = {
        "sent": total,
        "lost": np.minimum(here["lost"].astype(np.uint32) + new["lost"], 65535),
        "min": least,
        "p50": middle,
        "max": np.maximum(here["max"], new["max"]),
        "reason": np.where(total > 0, 0, np.where(new["reason"] != 0, new["reason"], here["reason"])),
        "marks": here["marks"] | new["marks"],
    }
    for name, column in made.items():
        grown[name][where] = column
    return Block(nodes, {name: column[None] for name, column in grown.items()})


def stacked(blocks: Sequence[Block | None]) -> Block:
    """Steps one after the other; None is one in which nothing is known. Nodes are those of any of them."""
    nodes = tuple(dict.fromkeys(name for block in blocks if block is not None for name in block.nodes))
    place = {name: number for number, name in enumerate(nodes)}
    values = {name: np.zeros((len(blocks), len(nodes), len(nodes)), np.uint16) for name in VALUES}
    for step, block in enumerate(blocks):
        if block is not None:
            where = [place[name] for name in block.nodes]
            for name in VALUES:
                values[name][step][np.ix_(where, where)] = block.values[name][0]
    return Block(nodes, values)


def tens(block: Block) -> Block:
    """The same in steps of ten: counts add up, extremes fold, the middle is the median of the middles."""
    shape = (-1, 10, *next(iter(block.values.values())).shape[1:])
    parts = {name: column.reshape(shape) for name, column in block.values.items()}
    sent = np.minimum(parts["sent"].sum(axis=1, dtype=np.uint32), 65535)
    made = {
        "sent": sent,
        "lost": np.minimum(parts["lost"].sum(axis=1, dtype=np.uint32), 65535),
        "min": (parts["min"] - np.uint16(1)).min(axis=1) + np.uint16(1),
        "p50": _middle(parts["p50"]),
        "max": parts["max"].max(axis=1),
        "reason": np.where(sent > 0, 0, parts["reason"].max(axis=1)),
        "marks": np.bitwise_or.reduce(parts["marks"], axis=1),
    }
    return Block(block.nodes, {name: column.astype(np.uint16) for name, column in made.items()})


def _middle(codes: Numbers) -> Numbers:
    """The lower median of what is known over the second axis."""
    ordered = np.sort(codes, axis=1)
    count = np.count_nonzero(codes, axis=1)
    place = codes.shape[1] - count + np.maximum(count - 1, 0) // 2
    place = np.minimum(place, codes.shape[1] - 1)
    made: Numbers = np.where(count > 0, np.take_along_axis(ordered, place[:, None], axis=1)[:, 0], 0).astype(np.uint16)
    return made


def packed(block: Block, values: Sequence[str] = VALUES) -> bytes:
    """Some values of a block as bytes: each pair's steps one after the other, low bytes and high bytes apart."""
    header = json.dumps({"nodes": block.nodes, "steps": block.steps, "values": list(values)}).encode()
    planes = [len(header).to_bytes(4, "little"), header]
    for name in values:
        series = np.ascontiguousarray(block.values[name].transpose(1, 2, 0)).astype("<u2")
        planes += [(series & 0xFF).astype(np.uint8).tobytes(), (series >> 8).astype(np.uint8).tobytes()]
    return zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(planes))


def unpacked(data: bytes) -> Block:
    """The block that `packed` made bytes of; ValueError where they are none."""
    try:
        plain = zstandard.ZstdDecompressor().decompress(data)
        length = int.from_bytes(plain[:4], "little")
        header = json.loads(plain[4 : 4 + length])
        nodes, steps = tuple(header["nodes"]), header["steps"]
        size, offset = len(nodes) ** 2 * steps, 4 + length
        values = {}
        for name in header["values"]:
            low = np.frombuffer(plain, np.uint8, size, offset).astype(np.uint16)
            high = np.frombuffer(plain, np.uint8, size, offset + size).astype(np.uint16)
            offset += 2 * size
            series = (low | (high << 8)).reshape(len(nodes), len(nodes), steps)
            values[name] = np.ascontiguousarray(series.transpose(2, 0, 1))
    except (zstandard.ZstdError, KeyError, TypeError) as error:
        raise ValueError(f"these bytes are no block of history: {error}") from error
    return Block(nodes, values)


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
