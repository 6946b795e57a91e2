"""When a cell is known well enough: a condition on the confidence interval of its mean over repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from netmesh_controller.mesh.statistics.intervals import mean_interval

# With two repeats the interval is 9 times as wide as their standard error: nothing is known.
LEAST_REPEATS = 3
MOST_REPEATS = 10


@dataclass(frozen=True, slots=True)
class Until:
    """When a cell is known well enough: its interval reaches at most `ratio` of the mean to each side."""

    ratio: float

    def __str__(self) -> str:
        return f"ci < {self.ratio * 100:.10g} %"


def parse_until(text: str) -> Until:
    """The condition that `ci < 2 %` names; ValueError with a sentence where it names none."""
    found = re.fullmatch(r"\s*ci\s*<\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text)
    if found is None:
        raise ValueError(f"'{text}' is not a condition such as 'ci < 2 %'")
    percent = float(found[1])
    if not 0.1 <= percent <= 100:
        raise ValueError(f"'{text}' cannot be had: an interval from 0.1 % to 100 % of the mean can be asked for")
    return Until(percent / 100)


def narrow(means: Sequence[float], until: Until) -> bool:
    """Whether repeats with these means are enough."""
    if len(means) < LEAST_REPEATS:
        return False
    interval = mean_interval(means)
    if interval is None:
        return False
    relative = interval.relative
    # A value that is 0 in each repeat is known.
    return interval.half_width == 0 if relative is None else relative < until.ratio
