"""How far off a CPU figure may be: the ticks that counters come in, and what else the host did meanwhile. Pure.

All errors are standard uncertainties (one standard deviation).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netmesh_controller.mesh.table import Floats

# The kernel tells CPU time to user space in ticks of this length (USER_HZ, proc(5)).
TICK_SECONDS = 0.01
# A shorter piece of a window says more of the ticks than of the host.
PIECE_SECONDS = 0.2
_PIECES = 25


def tick_error_cores(counters: int, seconds: float) -> float:
    """What rounding to ticks does to a rate over `seconds`, of so many counters that are added up.

    Each is cut down at both ends of the window: the difference of two uniform errors has a deviation of a tick / √6.
    """
    return math.sqrt(counters / 6) * TICK_SECONDS / seconds


def piece_ends(moments: Floats) -> list[int]:
    """The places of the samples at which a window falls into pieces, its first and its last piece's end among them.

    `moments` are the samples', in seconds. Pieces are of `PIECE_SECONDS`, of a long window longer: some `_PIECES` tell
    as much as hundreds.
    """
    if not len(moments):
        return []
    seconds = float(moments[-1] - moments[0])
    least = max(PIECE_SECONDS, seconds / _PIECES) * 0.99
    ends, until = [0], float(moments[0]) + least
    for place, moment in enumerate(moments.tolist()):
        if place and moment >= until:
            ends.append(place)
            until = moment + least
    return ends


def spread_error_cores(pieces: Floats) -> float | None:
    """The standard error of a window's mean CPU, from how much its pieces differ; None for fewer than two."""
    return float(pieces.std(ddof=1)) / math.sqrt(len(pieces)) if len(pieces) > 1 else None


def added(*errors: float | None) -> float:
    """Independent errors together; what is None is unknown and left out."""
    return math.hypot(*(error for error in errors if error is not None))
