"""A line for each test and axis: how its first value goes with sizes or streams."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from netmesh_controller.mesh.curves import Curve
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.words import joined, label, parameters_in_words

_AXIS = {"message_bytes": "messages of", "mss_bytes": "MSS of", "streams": "streams:"}
_UNIT = {"message_bytes": " B", "mss_bytes": " B", "streams": ""}


def show_curves(console: Console, found: Iterable[Curve]) -> None:
    """Prints each curve; nothing where a run has none."""
    for curve in found:
        numbers = [number for _, number, _ in curve.points if number is not None]
        scale = scale_for(curve.value, curve.unit, numbers, ascii_only=console.options.ascii_only)
        title = f"{curve.test}, {label(curve.value)}, {scale.unit}".rstrip(", ")
        title += f"  {curve.path}, {parameters_in_words(curve.parameters)}, medians over remote pairs"
        parts = [
            f"{place}{_UNIT[curve.axis]} {'no value' if number is None else scale.text(number)}"
            for place, number, _ in curve.points
        ]
        for line in joined([title], console.width, ""):
            console.print(Text(line, "bold"), soft_wrap=True, highlight=False)
        for line in joined(parts, console.width, f"  {_AXIS[curve.axis]} "):
            console.print(Text(line), soft_wrap=True, highlight=False)
        console.print()
