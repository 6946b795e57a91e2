"""A figure against its bound, in words."""

from __future__ import annotations


def held(figure: float, goal: float) -> str:
    """The goal, and whether a figure that should be no more than that is."""
    return f"goal {goal:g}: {'met' if figure <= goal else 'NOT met'}"
