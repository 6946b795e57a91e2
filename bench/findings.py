"""How often findings are wrong: simulated meshes, healthy ones and such with one fault (goals 5 % and 95 %).

The meshes are those of the tests, by other seeds and many more of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

import numpy as np
from tests.controller.mesh.findings.faults import What, put, said
from tests.controller.mesh.findings.healthy import Mesh, healthy
from tests.controller.mesh.findings.test_power import FAULTS, belongs

SEED = 2026
# One bandwidth test in so many is held up for most of its time, as on a busy machine.
HELD_UP = 50
BUSY = {6: 400, 9: 300, 20: 100}
HEALTHY = {4: 700, 6: 500, 8: 400, 12: 300, 20: 150, 40: 60, 100: 20}
# Place, direction, what, and how large with one repeat and with three.
CASES: tuple[tuple[str, str, What, float, float], ...] = (
    ("node", "out", "bandwidth", 0.5, 0.65),
    ("node", "both", "bandwidth", 0.5, 0.65),
    ("node", "both", "round_trip", 3.0, 2.2),
    ("node", "in", "loss", 0.02, 0.02),
    ("pair", "forward", "bandwidth", 0.3, 0.5),
    ("pair", "both", "round_trip", 3.0, 2.2),
    ("pair", "forward", "loss", 0.03, 0.02),
    ("zones", "forward", "bandwidth", 0.5, 0.5),
    ("zones", "both", "round_trip", 4.0, 4.0),
    ("zones", "forward", "loss", 0.02, 0.02),
)
FAULTY = {8: 60, 12: 60, 20: 30}


def main() -> None:
    """Prints the part of healthy runs with any finding, and of each fault how often it was found and what beside it."""
    for repeats in (1, 3):
        _healthy("healthy", HEALTHY, repeats, held_up=0.0)
        _healthy(f"one test in {HELD_UP} held up", BUSY, repeats, held_up=1 / HELD_UP)
    for place, direction, what, once, thrice in CASES:
        for repeats, size in ((1, once), (3, thrice)):
            _faulty(place, direction, what, size, repeats)


def _healthy(name: str, sizes: Mapping[int, int], repeats: int, *, held_up: float) -> None:
    started = time.perf_counter()
    shown = {
        count: sum(bool(said(mesh)) for mesh in _meshes(count, repeats, runs, held_up=held_up))
        for count, runs in sizes.items()
    }
    runs, wrong = sum(sizes.values()), sum(shown.values())
    by_size = ", ".join(f"{number} of {sizes[count]} of {count} nodes" for count, number in shown.items())
    print(
        f"  {name}, {repeats} repeat{'s' * (repeats > 1)}: {wrong} of {runs} runs show a finding, "
        f"{interval(wrong, runs)} ({by_size}; {time.perf_counter() - started:.0f} s)",
        flush=True,
    )


def _faulty(place: str, direction: str, what: What, size: float, repeats: int) -> None:
    zones = None if place != "zones" else (4 if what == "round_trip" else 3)
    sizes = {count: runs for count, runs in FAULTY.items() if place != "zones" or count >= 12}
    right = wrong = 0
    for count, runs in sizes.items():
        for mesh in _meshes(count, repeats, runs, zones):
            fault = FAULTS[place](mesh, what, direction)
            put(mesh, fault, what, size)
            found = said(mesh)
            right += any(fault.said_by(one) for one in found)
            wrong += any(not belongs(fault, one) for one in found)
    total = sum(sizes.values())
    print(
        f"  {place}, {direction}, {what} x {size:g}, {repeats} repeat{'s' * (repeats > 1)}: found in {right} of "
        f"{total} runs, {interval(right, total)}; something wrong beside it in {wrong}",
        flush=True,
    )


def _meshes(count: int, repeats: int, runs: int, zones: int | None = None, *, held_up: float = 0.0) -> Iterator[Mesh]:
    for run in range(runs):
        dice = np.random.default_rng([SEED, count, repeats, run])
        yield healthy(dice, count, repeats, gaps=0.02, zones=zones, held_up=held_up)


def interval(number: int, of: int) -> str:
    """The 95 % interval of a part (Wilson)."""
    z, part = 1.96, number / of
    middle, reach = part + z * z / (2 * of), z * math.sqrt(part * (1 - part) / of + z * z / (4 * of * of))
    low, high = (100 * (middle + sign * reach) / (1 + z * z / of) for sign in (-1, 1))
    return f"{100 * part:.1f} % ({max(low, 0.0):.1f} to {min(high, 100.0):.1f})"
