"""Good and bad in colour: blue and orange, which people of every colour vision tell apart.

A cell is coloured by how far it lies from the median of its peers, so that noise stays uncoloured.
"""

from __future__ import annotations

from rich.console import Console

GOOD = "color(33)"
BAD = "color(214)"
VERY_BAD = "color(208)"
GAP = "color(208) italic"
QUIET = "dim"

NOTABLE = 1.1
_STRONG = 1.5

NOTE = "blue: better than the median by over 10 %; orange: worse; bold: the worst"


def worse_by(number: float, middle: float, *, more: bool) -> float:
    """How many times worse than the median a number is; below 1 it is better."""
    if number == middle:
        return 1.0
    good, bad = (number, middle) if more else (middle, number)
    return bad / good if good else float("inf")


def style(number: float, middle: float, worst: float, *, more: bool) -> str:
    """The style of a number among its peers."""
    factor = worse_by(number, middle, more=more)
    if factor <= 1 / NOTABLE:
        return GOOD
    if factor < NOTABLE:
        return ""
    colour = VERY_BAD if factor >= _STRONG else BAD
    return f"bold {colour}" if number == worst else colour


def has_colour(console: Console) -> bool:
    """Whether the console shows colour."""
    return console.color_system is not None and not console.no_color
