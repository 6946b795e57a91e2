"""A mesh that is probed once a second, simulated second by second: what its windows make of faults and of noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.probing.events import Events, MeshEvent, what_became
from netmesh_controller.mesh.probing.history import MINUTE
from netmesh_controller.mesh.probing.judging import MINUTES_OF_LOSSES, WINDOWS_OF_LOSSES, judged
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.probing.scale import encode
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, Window, rolled

NODES = tuple("abcdef")
SIZE = len(NODES)
_STANDING = Standing(NODES, ("x", "x", "x", "y", "y", "y"), ~np.eye(SIZE, dtype=bool))
# A probe is lost once nobody has answered for a second, the network time of one that was answered is known with the
# next but three; windows are closed two seconds after their end.
TIMEOUT_SECONDS, KNOWN_SECONDS, GRACE_SECONDS = 1.0, 4.0, 2.0
_USUAL_SECONDS = 60e-6


@dataclass(frozen=True)
class Noise:
    """What a healthy mesh does: a share of probes that is lost, how far round trips spread (of the logarithm), and, as
    often an hour at each node, moments of so many seconds in which all its probes are lost, or take 2 ms more.
    """

    lost: float = 0.0
    spread: float = 0.3
    stalls: float = 0.0
    spikes: float = 0.0
    moment_seconds: tuple[float, float] = (0.5, 3.0)


@dataclass(frozen=True)
class Fault:
    """From second `begins` on: by pair the share that is lost (n, n) and how much longer it takes (n, n), seconds."""

    begins: float
    lost: NDArray[np.float64]
    more_seconds: NDArray[np.float64]


def at_node(place: int, figure: float) -> NDArray[np.float64]:
    """The figure in a node's row and column."""
    made = np.zeros((SIZE, SIZE))
    made[place, :] = made[:, place] = figure
    return made


def at_pair(a: int, b: int, figure: float) -> NDArray[np.float64]:
    """The figure of a pair, both ways."""
    made = np.zeros((SIZE, SIZE))
    made[a, b] = made[b, a] = figure
    return made


def opened(seed: int, seconds: int, noise: Noise, fault: Fault | None = None) -> Iterator[tuple[float, MeshEvent]]:
    """What opens, with the second in which it is told."""
    rng = np.random.default_rng(seed)
    stalled, spiked = (_moments(rng, seconds, often, noise.moment_seconds) for often in (noise.stalls, noise.spikes))
    events, windows, minutes = Events(), list[Window](), list[Window]()
    sent = np.where(np.eye(SIZE, dtype=bool), 0, BASE_SECONDS).astype(np.uint32)
    for begin in range(0, seconds, BASE_SECONDS):
        at = begin + np.arange(BASE_SECONDS)[:, None, None] + rng.uniform(0, 1, (BASE_SECONDS, SIZE, SIZE))
        share = np.full(at.shape, noise.lost)
        times = _USUAL_SECONDS * np.exp(rng.normal(0, noise.spread, at.shape))
        if fault is not None:
            share = np.where(at >= fault.begins + TIMEOUT_SECONDS, np.maximum(share, fault.lost), share)
            times += np.where(at >= fault.begins + KNOWN_SECONDS, fault.more_seconds, 0.0)
        stall, spike = (one[begin : begin + BASE_SECONDS] for one in (stalled, spiked))
        lost = rng.uniform(size=at.shape) < np.where(_touched(stall), 1.0, share)
        times += np.where(_touched(spike), 2e-3, 0.0)
        windows.append(_window(begin, sent, lost, times))
        end = begin + BASE_SECONDS
        for one in events.window(str(end), windows[-WINDOWS_OF_LOSSES:], _STANDING):
            if what_became(one) == "opened":
                yield end + GRACE_SECONDS, one
        if end % MINUTE == 0:
            minutes.append(rolled(windows[-MINUTE // BASE_SECONDS :], MINUTE, MINUTE // BASE_SECONDS))
            events.minute(minutes[-MINUTES_OF_LOSSES:], _STANDING)


def _window(begin: int, sent: NDArray[np.uint32], lost: NDArray[np.bool_], times: NDArray[np.float64]) -> Window:
    counts = lost.sum(axis=0).astype(np.uint32)
    np.fill_diagonal(counts, 0)
    times = np.where(lost, np.nan, times)
    # Of the times that are left: those that were lost are sorted to the end.
    middle = np.sort(times, axis=0)[np.maximum(len(times) - counts.astype(int) - 1, 0) // 2, *np.indices(counts.shape)]
    np.fill_diagonal(middle, np.nan)
    codes = encode(middle)
    return judged(Window(begin, BASE_SECONDS, sent, counts, codes, codes, codes), _STANDING)


def _moments(rng: np.random.Generator, seconds: int, often: float, lasting: tuple[float, float]) -> NDArray[np.bool_]:
    """By second and node, whether its probe fell into such a moment."""
    hit = np.zeros((seconds, SIZE), dtype=bool)
    for node in range(SIZE):
        for begin in rng.uniform(0, seconds, rng.poisson(often * seconds / 3600)):
            end = begin + rng.uniform(*lasting)
            probes = np.arange(int(begin), min(seconds, int(end) + 1))
            at = probes + rng.uniform(0, 1, len(probes))
            hit[probes, node] |= (at >= begin) & (at < end)
    return hit


def _touched(by_node: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return by_node[:, :, None] | by_node[:, None, :]
