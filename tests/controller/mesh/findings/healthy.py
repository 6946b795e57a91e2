"""Meshes with realistic noise, as arrays: what a healthy one shows, and one fault in it.

Levels are per cell on a natural logarithm: nodes differ by a few per cent and so do zones, traffic between zones has
less bandwidth and more latency, every figure has noise with a heavy tail, and now and then something else disturbs a
test.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DATAGRAMS = 20_000


@dataclass
class Mesh:
    """Bandwidth (bit/s), round trip (s) and loss (1) of every remote cell: (repeats, n, n), NaN where there is none.

    `alone` is the bandwidth of a further test of each cell (n, n), with its own noise.
    """

    zone: NDArray[np.intp]
    bandwidth: Floats
    round_trip: Floats
    loss: Floats
    alone: Floats
    missing: NDArray[np.bool_]
    dice: np.random.Generator = field(repr=False)

    @property
    def count(self) -> int:
        return len(self.zone)

    def there(self, cells: NDArray[np.bool_]) -> None:
        """Gives figures to these cells, if they have none: those of cells that do."""
        for values in (self.bandwidth, self.round_trip, self.loss):
            usual = np.nanmedian(values, axis=(1, 2))
            values[:, cells & self.missing] = usual[:, None]
        self.missing &= ~cells


def healthy(
    dice: np.random.Generator,
    count: int,
    repeats: int = 1,
    *,
    gaps: float = 0.0,
    zones: int | None = None,
    held_up: float = 0.0,
) -> Mesh:
    """A mesh without a fault. `gaps` is the part of the cells that have no figure.

    `held_up` is the part of the bandwidth tests that a busy machine holds up for most of their time, as in the lab: by
    an exponential of 1 on the scale, those that run alone as often as all others.
    """
    if zones is None:
        zones = int(dice.integers(1, 1 + min(4, max(1, count // 4))))
    zone = np.sort(np.arange(count) % zones)
    apart = zone[:, None] != zone[None, :]
    shape = (repeats, count, count)

    def noise(size: float) -> Floats:
        tails = dice.standard_t(dice.uniform(5, 12), shape)
        return size * tails

    def nodes(size: float) -> Floats:
        out, into = dice.normal(0, size, count), dice.normal(0, size, count)
        made: Floats = out[:, None] + into[None, :]
        return made

    def between_zones(step: float, size: float) -> Floats:
        one = dice.normal(0, size, (zones, zones))
        both = (one + one.T) / np.sqrt(2)
        made: Floats = np.where(apart, step, 0.0) + both[np.ix_(zone, zone)]
        return made

    # One test in 300 is disturbed by something that has nothing to do with the network.
    def disturbed(mean: float) -> Floats:
        made: Floats = np.where(dice.random(shape) < 1 / 300, dice.exponential(mean, shape), 0.0)
        return made

    slower = nodes(dice.uniform(0.005, 0.03)) + between_zones(0.2, 0.03)
    bandwidth = 10e9 * np.exp(-(slower + noise(dice.uniform(0.005, 0.035)) + disturbed(0.15)))
    alone = 10e9 * np.exp(-slower + dice.normal(0, 0.02, (count, count)))
    lasts = nodes(dice.uniform(0.01, 0.05)) + between_zones(1.1, 0.1)
    lasts = (lasts + lasts.T) / 2
    round_trip = 100e-6 * np.exp(lasts + noise(dice.uniform(0.02, 0.06)) + disturbed(0.3))
    # Of 20,000 datagrams a handful is lost, somewhere a burst.
    rate = dice.lognormal(np.log(2e-5), 1.0, shape) + np.where(dice.random(shape) < 1 / 100, 5e-4, 0.0)
    loss = dice.binomial(DATAGRAMS, np.minimum(rate, 1.0)) / DATAGRAMS
    missing = dice.random((count, count)) < gaps
    missing |= np.eye(count, dtype=bool)
    if held_up:
        for rates in (bandwidth, alone):
            slower = np.where(dice.random(rates.shape) < held_up, dice.exponential(1.0, rates.shape), 0.0)
            np.multiply(rates, np.exp(-slower), out=rates)
    mesh = Mesh(zone, bandwidth, round_trip, loss, alone, missing, dice)
    for values in (mesh.bandwidth, mesh.round_trip, mesh.loss):
        values[:, missing] = np.nan
    return mesh
