"""How bad a figure is, on a scale where faults add up: what is looked at, which way is worse, and from what size on.

Rates and times are taken as logarithms, on which a link of half the rate is as far off at 1 Gbit/s as at 100. Losses
are logarithms above a floor, so that 0 has a place and 1 in 10,000 is nearly 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from netmesh_controller.mesh.catalogue import TESTS, UNITS, Kind
from netmesh_controller.mesh.table import Floats

# A loss of this size is one step above none: smaller ones are near 0 on the scale, larger ones near their logarithm.
LOSS_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Looked:
    """A value that findings are made of.

    `worse`: more or less of it is worse. `round_trip`: a cell is as much of the way back as of the way there, so that
    no direction can be told. The rest is on the scale, how much worse than usual the least finding is: of a `node`, of
    a pair `one_way` and `both_ways`, of a pair of `zones`; and the least `noise` that is always there. One test in so
    many (`disturbed_in`) is disturbed by something that passes, by `disturbance` on the average, exponentially
    distributed.
    """

    value: str
    kind: Literal["slow", "lossy"]
    worse: Literal["more", "less"]
    round_trip: bool
    node: float
    one_way: float
    both_ways: float
    zones: float
    noise: float
    disturbed_in: float
    disturbance: float

    def badness(self, values: Floats) -> Floats:
        """The values on the scale, where more is worse; NaN where there is none or where it cannot be (below 0)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.kind == "lossy":
                made = np.log((values + LOSS_FLOOR) / LOSS_FLOOR)
            else:
                made = np.log(values) if self.worse == "more" else -np.log(values)
        return np.where(np.isfinite(made), made, np.nan)

    def natural(self, badness: float) -> float:
        """The value at a place of the scale."""
        if self.kind == "lossy":
            return LOSS_FLOOR * math.exp(badness) - LOSS_FLOOR
        return math.exp(badness if self.worse == "more" else -badness)


def _loss(ratio: float) -> float:
    return math.log((ratio + LOSS_FLOOR) / LOSS_FLOOR)


def _rate(value: str, *, round_trip: bool) -> Looked:
    return Looked(
        value,
        "slow",
        "less",
        round_trip,
        node=-math.log(0.8),
        one_way=-math.log(0.6),
        both_ways=-math.log(0.75),
        zones=-math.log(0.75),
        noise=0.01,
        disturbed_in=300,
        disturbance=0.15,
    )


def _time(value: str) -> Looked:
    return Looked(
        value,
        "slow",
        "more",
        round_trip=True,
        node=math.log(1.5),
        one_way=math.log(2.0),
        both_ways=math.log(1.75),
        zones=math.log(2.5),
        noise=0.02,
        disturbed_in=300,
        disturbance=0.3,
    )


def _network_time(value: str) -> Looked:
    """Of the network alone: microseconds, of which one more device on the way is a large part and no fault."""
    return replace(
        _time(value), node=math.log(2.0), one_way=math.log(3.0), both_ways=math.log(2.5), zones=math.log(3.5)
    )


def _losses(value: str, *, round_trip: bool) -> Looked:
    return Looked(
        value,
        "lossy",
        "more",
        round_trip,
        node=_loss(0.005),
        one_way=_loss(0.01),
        both_ways=_loss(0.005),
        zones=_loss(0.005),
        noise=0.1,
        disturbed_in=100,
        disturbance=0.2,
    )


_LOOKED: Mapping[Kind, tuple[Looked, ...]] = {
    "bandwidth": (_rate("bits_per_second", round_trip=False), _losses("loss_ratio", round_trip=False)),
    "latency": (
        # What the kernels saw (STAMP) is the network's; the rest is the hosts', which wait for a core as others run.
        _network_time("network_round_trip_seconds"),
        _time("round_trip_seconds"),
        # Where it is known which way packets are lost (STAMP), that says more than the round trips.
        _losses("forward_loss_ratio", round_trip=False),
        _losses("loss_ratio", round_trip=True),
    ),
    "transactions": (_rate("transactions_per_second", round_trip=True),),
    "connect": (_time("connect_seconds"),),
}


# Values that are not looked at where the other one is known, which says more of the same.
SAYS_MORE: Mapping[str, str] = {
    "round_trip_seconds": "network_round_trip_seconds",
    "loss_ratio": "forward_loss_ratio",
}


# What says how many packets a loss is a part of, by the kind of the test.
PACKETS_A_SECOND: Mapping[str, str] = {"bandwidth": "packets_per_second", "latency": "messages_per_second"}


def read_of(test: str) -> frozenset[str]:
    """The values that the findings of a test are read from."""
    return frozenset((*(one.value for one in looked_at(test)), *PACKETS_A_SECOND.values()))


def looked_at(test: str) -> tuple[Looked, ...]:
    """What is looked at of a test; nothing of one that has no speed and no loss."""
    kind = TESTS[test]
    return tuple(one for one in _LOOKED.get(kind.kind, ()) if one.value in UNITS)
