"""Reports of agents as columns over the mesh: of which stretch of time they are, which place each peer has. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netmesh_controller.mesh.probing.windows import BASE_SECONDS, PeerReport


def base_of(ended_seconds: float, seconds: float) -> int:
    """When the base window begins that a report is of, in seconds since 1970.

    The middle of the report decides: agents end their windows at whole multiples of their length, a moment early or
    late, and once more whenever they are told of other peers.
    """
    return math.floor((ended_seconds - seconds / 2) / BASE_SECONDS) * BASE_SECONDS


def peer_report(
    source: str,
    peers: Sequence[str],
    places: Mapping[str, int],
    *,
    sent: ArrayLike,
    lost: ArrayLike,
    measured: ArrayLike,
    round_trips_nanoseconds: ArrayLike,
) -> PeerReport | None:
    """A report's columns; an empty one is 0 throughout. None where the source is not in the mesh.

    Peers that are not in the mesh any more are left out. ValueError where the columns do not fit the peers.
    """
    if source not in places:
        return None
    size = len(peers)
    columns = [_column(name, column, size) for name, column in (("sent", sent), ("lost", lost), ("measured", measured))]
    answered = columns[2].astype(np.intp)
    times = np.asarray(round_trips_nanoseconds, dtype=np.float64) * 1e-9
    if answered.sum() != len(times):
        raise ValueError(f"a report has {len(times)} round trips where its columns say {int(answered.sum())}")
    where = np.array([places.get(peer, -1) for peer in peers], dtype=np.intp)
    here = where >= 0
    if not here.all():
        times = times[np.repeat(here, answered)]
    return PeerReport(
        places[source],
        where[here],
        columns[0][here].astype(np.uint32),
        columns[1][here].astype(np.uint32),
        answered[here],
        times,
    )


def _column(name: str, column: ArrayLike, size: int) -> NDArray[np.int64]:
    figures = np.asarray(column, dtype=np.int64)
    if not len(figures):
        return np.zeros(size, np.int64)
    if len(figures) != size:
        raise ValueError(f"a report has {len(figures)} figures of {name} for {size} peers")
    return figures
