"""Many figures of one kind in one unit, with three significant digits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from netmesh_common.units import scale
from netmesh_controller.mesh.catalogue import COST_UNIT
from netmesh_controller.mesh.statistics import median


def digits(number: float) -> str:
    """The number with three significant digits, without an exponent where that stays legible."""
    if number == 0:
        return "0"
    rounded = float(f"{number:.2e}")
    magnitude = math.floor(math.log10(abs(rounded)))
    if magnitude < -4:
        return f"{number:.2e}"
    return f"{rounded:.{max(0, 2 - magnitude)}f}"


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit for many numbers; `factor` times a number in SI is the number in this unit."""

    factor: float
    unit: str

    def text(self, number: float) -> str:
        """The number in this unit, without the unit."""
        if self.unit in ("", "B") and number.is_integer() and abs(number) < 1e6:
            return str(int(number))  # a count, or a size that three digits would spoil
        return digits(number * self.factor)

    def full(self, number: float) -> str:
        """The number and its unit."""
        return f"{self.text(number)} {self.unit}".rstrip()


def scale_for(value: str, unit: str, numbers: Iterable[float], *, ascii_only: bool = False) -> Scale:
    """The unit in which the middle one of the numbers, zeros aside, is at least 1: one outlier does not choose it."""
    if value.endswith("_ratio"):
        return Scale(100.0, "%")
    if value == "mtu_bytes":
        return Scale(1.0, unit)
    sizes = [abs(number) for number in numbers if number]
    middle = [median(sizes)] if sizes else []
    if unit == COST_UNIT:
        factor, seconds = scale(middle, "s")
        label = f"CPU {seconds}/GB"
    else:
        factor, label = scale(middle, unit)
    return Scale(factor, label.replace("µ", "u") if ascii_only else label)
