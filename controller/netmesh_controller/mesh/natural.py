"""The order of names as people read them."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A sort key that puts node-2 before node-10."""
    parts = re.split(r"(\d+)", name)
    # Text and numbers alternate and text comes first, so that two keys always compare like with like.
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name
