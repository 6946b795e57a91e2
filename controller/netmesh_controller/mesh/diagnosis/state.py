"""What a node's network stack said of itself before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostState:
    """Cumulative counters by name, and settings as the kernel writes them; what is unknown is not there."""

    counters: Mapping[str, int]
    settings: Mapping[str, str]


def grown(before: HostState | None, after: HostState | None) -> dict[str, int]:
    """By how much each counter grew; nothing where one of the two is not known."""
    if before is None or after is None:
        return {}
    return {
        name: after.counters[name] - count
        for name, count in before.counters.items()
        if name in after.counters and after.counters[name] >= count
    }
