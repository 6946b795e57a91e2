"""Whether a run is as expected, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from netmesh_controller.mesh.expectations import Expectation, Miss, Outcome
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.words import count, wrapped

_MOST_MISSES = 5


def show_expectations(console: Console, outcomes: Iterable[Outcome]) -> None:
    """Prints each expectation, and the cells where it does not hold."""
    for outcome in outcomes:
        style = palette.GOOD if outcome.holds else palette.VERY_BAD
        _print(console, outcome_in_words(outcome), style, "")
        for miss in outcome.misses[:_MOST_MISSES]:
            _print(console, miss_in_words(miss, outcome.expectation), "", "  ")
        if len(outcome.misses) > _MOST_MISSES:
            _print(console, f"and {len(outcome.misses) - _MOST_MISSES} more", palette.QUIET, "  ")


def outcome_in_words(outcome: Outcome) -> str:
    """A sentence on an expectation."""
    text = outcome.expectation.text
    if outcome.planned == 0:
        return f"fails: {text}: the run has no such cell"
    if outcome.holds:
        return f"holds: {text}, in all of {count(outcome.planned, 'cell')}"
    gaps = f", {outcome.gaps} of them without a figure" if outcome.gaps else ""
    return f"fails: {text}: not in {len(outcome.misses)} of {count(outcome.planned, 'cell')}{gaps}"


def miss_in_words(miss: Miss, expectation: Expectation) -> str:
    """A cell where an expectation does not hold."""
    pair = miss.source if miss.source == miss.target else f"{miss.source} -> {miss.target}"
    repeat = "" if miss.repeat is None else f", repeat {miss.repeat}"
    place = f"{miss.series.path} {pair} by {miss.series.parameters.instrument}{repeat}"
    if miss.number is None:
        return f"{place}: no figure ({miss.reason})"
    return f"{place}: {scale_for(expectation.value, expectation.unit, [miss.number]).full(miss.number)}"


def _print(console: Console, text: str, style: str, indent: str) -> None:
    for line in wrapped(text, console.width, indent, f"{indent}    "):
        console.print(Text(line, style), soft_wrap=True, highlight=False)
