"""What the API told of the mesh, as arrays in the order that people read: by zone, then by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.natural import natural

Floats = NDArray[np.float64]
# Who has no figure by design is no gap.
QUIET = ("not_applicable", "not_scheduled")


@dataclass(frozen=True, slots=True)
class Worst:
    """A pair and its figure: seconds, a ratio, or bit/s."""

    source: str
    target: str
    number: float


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A window of the mesh.

    `times` are seconds of the statistic, `losses` ratios, `sent` counts, each of shape (nodes, nodes) with NaN where
    there is none; `reasons` says why `losses` has none, "" where it has one. `missing` are nodes whose agent tells
    nothing, with the sentence. `started` and `ended` are in seconds since 1970, by the controller's clock.
    """

    nodes: tuple[str, ...]
    zones: tuple[str | None, ...]
    times: Floats
    losses: Floats
    sent: Floats
    reasons: NDArray[np.str_]
    missing: Mapping[str, str]
    own: frozenset[str]
    marked: Mapping[str, tuple[str, ...]]
    statistic: str
    seconds: int
    started: float
    ended: float

    @property
    def gaps(self) -> Counter[str]:
        """How often each reason stands for a figure that was expected."""
        return counted(self.reasons)

    @property
    def measured(self) -> int:
        """How many pairs have a count of probes."""
        return int(np.isfinite(self.losses).sum())

    @property
    def usual(self) -> Floats:
        """What a pair's time is held against: the median between its two zones, NaN where there is none."""
        return usual_between(self.zones, self.times)

    @property
    def median_seconds(self) -> float | None:
        """The median of all pairs; None where none has a time."""
        return middle_of(self.times)

    @property
    def loss_ratio(self) -> float | None:
        """What was lost of the probes of all pairs whose loss is known; None where none was sent."""
        known = np.isfinite(self.losses) & np.isfinite(self.sent)
        sent = float(self.sent[known].sum())
        return float((self.sent[known] * self.losses[known]).sum()) / sent if sent else None

    def worst(self, values: Floats, count: int, *, above: float = -1.0) -> list[Worst]:
        """The pairs with the largest figures that are above a bound, the largest first."""
        flat = np.where(np.isfinite(values), values, -np.inf).ravel()
        order = np.argsort(-flat, kind="stable")[:count]
        size = len(self.nodes)
        return [
            Worst(self.nodes[place // size], self.nodes[place % size], float(flat[place]))
            for place in order.tolist()
            if flat[place] > above
        ]


def seen(times: Mapping[str, Any], losses: Mapping[str, Any]) -> Seen:
    """Of two answers of `GET /mesh`: one of a time, one of the loss, over the same window and nodes."""
    nodes, both = in_order(times["nodes"])
    size = len(nodes)

    def numbers(rows: Sequence[Sequence[float | None]]) -> Floats:
        return np.array(rows, dtype=np.float64).reshape(size, size)[both]

    reasons = [[code or "" for code in row] for row in losses["reasons"]]
    return Seen(
        nodes=tuple(one["name"] for one in nodes),
        zones=tuple(one["zone"] for one in nodes),
        times=numbers(times["values"]),
        losses=numbers(losses["values"]),
        sent=numbers(losses["sent"]),
        reasons=np.array(reasons, dtype=np.str_).reshape(size, size)[both],
        missing={one["name"]: one["message"] or one["reason"] for one in nodes if one["reason"] is not None},
        own=frozenset(one["name"] for one in nodes if one["own_traffic"]),
        marked={one["name"]: tuple(one["signs"]) for one in nodes if one["signs"]},
        statistic=times["statistic"],
        seconds=times["window_seconds"],
        started=moment(times["window_started_at"]),
        ended=moment(times["window_ended_at"]),
    )


def counted(reasons: NDArray[np.str_]) -> Counter[str]:
    """How often each reason stands, but for those by design."""
    codes, counts = np.unique(reasons, return_counts=True)
    return Counter({str(code): int(n) for code, n in zip(codes, counts, strict=True) if code and code not in QUIET})


def middle_of(values: Floats) -> float | None:
    """The median of those that are known; None where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def in_order(nodes: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], tuple[NDArray[np.intp], ...]]:
    """Nodes as people read them, and the indices that bring a matrix of them into that order."""
    order = sorted(
        range(len(nodes)), key=lambda place: (natural(nodes[place]["zone"] or ""), natural(nodes[place]["name"]))
    )
    return [nodes[place] for place in order], np.ix_(order, order)


def usual_between(zones: Sequence[str | None], values: Floats) -> Floats:
    """The median between the two zones of each pair, NaN where there is none."""
    result = np.full(values.shape, np.nan)
    names = list(dict.fromkeys(zones))
    places = {zone: np.array([n for n, of in enumerate(zones) if of == zone]) for zone in names}
    for first in names:
        for second in names:
            block = np.ix_(places[first], places[second])
            known = values[block][np.isfinite(values[block])]
            if known.size:
                result[block] = np.median(known)
    return result


def same_window(times: Mapping[str, Any], losses: Mapping[str, Any]) -> bool:
    """Whether two answers are of one window of the same nodes."""
    return all(bool(times[name] == losses[name]) for name in ("window_ended_at", "sources"))


def moment(text: str) -> float:
    """Seconds since 1970 of a time as the API writes it."""
    return datetime.fromisoformat(text).timestamp()
