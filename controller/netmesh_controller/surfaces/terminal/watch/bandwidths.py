"""What the API told of bandwidth in the background, as arrays in the order that people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.surfaces.terminal.watch.seen import Floats, Worst, counted, in_order, middle_of, usual_between


@dataclass(frozen=True, eq=False)
class Bandwidths:
    """The last test of each ordered pair.

    `values` are bit/s and `ages` seconds, of shape (nodes, nodes), NaN where there is none; `reasons` says why there is
    no value, "" where there is one. `offered` is the rate in bit/s that all tests had, None where they differ: a pair
    that carries it may carry more. `asked_at` is when it was told, in seconds since 1970. What a million pairs come to
    is worked out once, though it is drawn each second.
    """

    nodes: tuple[str, ...]
    zones: tuple[str | None, ...]
    values: Floats
    ages: Floats
    reasons: NDArray[np.str_]
    offered: float | None
    asked_at: float

    @cached_property
    def gaps(self) -> Counter[str]:
        """How often each reason stands where a pair was or could be tested."""
        return counted(self.reasons)

    @cached_property
    def measured(self) -> int:
        """How many pairs have a figure."""
        return int(np.isfinite(self.values).sum())

    @cached_property
    def to_come(self) -> int:
        """How many pairs have not had their turn."""
        return int((self.reasons == "not_scheduled").sum())

    @cached_property
    def median(self) -> float | None:
        """Of all pairs, in bit/s."""
        return middle_of(self.values)

    @cached_property
    def _from_the_slowest(self) -> NDArray[np.intp]:
        """The places of the figures in `values`, row by row, the smallest first."""
        known = np.flatnonzero(np.isfinite(self.values))
        order: NDArray[np.intp] = known[np.argsort(self.values.ravel()[known], kind="stable")]
        return order

    @cached_property
    def usual(self) -> Floats:
        """What a pair's figure is held against: the median between its two zones."""
        return usual_between(self.zones, self.values)

    def oldest_seconds(self, now: float) -> float | None:
        """The age of the oldest result, a figure or a reason."""
        known = self.ages[np.isfinite(self.ages)]
        return float(known.max()) + max(0.0, now - self.asked_at) if known.size else None

    def slowest(self, count: int) -> list[Worst]:
        """The pairs with the smallest figures, the smallest first."""
        places = (divmod(place, len(self.nodes)) for place in self._from_the_slowest[:count].tolist())
        return [Worst(self.nodes[row], self.nodes[column], float(self.values[row, column])) for row, column in places]


def bandwidths_of(answer: Mapping[str, Any], now: float) -> Bandwidths:
    """Of an answer of `GET /mesh?test=tcp-bandwidth` that came at `now`."""
    nodes, both = in_order(answer["nodes"])
    shape = (len(nodes), len(nodes))
    reasons = [[code or "" for code in row] for row in answer["reasons"]]
    return Bandwidths(
        nodes=tuple(one["name"] for one in nodes),
        zones=tuple(one["zone"] for one in nodes),
        values=np.array(answer["values"], dtype=np.float64).reshape(shape)[both],
        ages=np.array(answer["ages"], dtype=np.float64).reshape(shape)[both],
        reasons=np.array(reasons, dtype=np.str_).reshape(shape)[both],
        offered=answer["parameters"]["offered_bits_per_second"],
        asked_at=now,
    )
