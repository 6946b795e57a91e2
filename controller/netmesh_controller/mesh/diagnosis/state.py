"""What a node's network stack said of itself before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostState:
    """Cumulative counters by name, and settings as the kernel writes them; what is unknown is not there."""

    counters: Mapping[str, int]
    settings: Mapping[str, str]


# The settings of the traffic device begin with it, and so do its counters.
DEVICE = "device."


@dataclass(frozen=True, slots=True)
class Carried:
    """What a node's own device carried while a step's tests ran: bytes received and sent, in so many seconds."""

    received_bytes: int
    sent_bytes: int
    seconds: float


def carried(before: HostState | None, after: HostState | None, seconds: float) -> Carried | None:
    """What a device carried between two readings; None where one of the two did not tell."""
    found = grown(before, after)
    names = (f"{DEVICE}received_bytes", f"{DEVICE}sent_bytes")
    if any(name not in found for name in names) or seconds <= 0:
        return None
    return Carried(found[names[0]], found[names[1]], seconds)


def grown(before: HostState | None, after: HostState | None) -> dict[str, int]:
    """By how much each counter grew; nothing where one of the two is not known."""
    if before is None or after is None:
        return {}
    return {
        name: after.counters[name] - count
        for name, count in before.counters.items()
        if name in after.counters and after.counters[name] >= count
    }
