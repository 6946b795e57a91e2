"""What the rules on bandwidth ask: which way falls short, and who else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Direction, Seen
from netmesh_controller.mesh.diagnosis.steps import SHORT_OF_OTHERS

TEST, VALUE = "tcp-bandwidth", "bits_per_second"


@dataclass(frozen=True, slots=True)
class Short:
    """In `direction` a stream gets `here` bits a second where `expected` would be right."""

    direction: Direction
    here: float
    expected: float
    origin: str

    def fact(self, seen: Seen) -> Fact:
        """As evidence."""
        return Fact(
            what=f"received, {seen.arrow(self.direction)}",
            measured=self.here,
            expected=self.expected,
            unit="bit/s",
            source=self.origin,
        )


def shortfalls(seen: Seen) -> Iterator[Short]:
    """The directions in which clearly less goes through than would be right."""
    expected = seen.expected(TEST, VALUE)
    for direction in DIRECTIONS:
        here = seen.value(TEST, VALUE, direction, streams=1)
        if here is not None and expected is not None and here < SHORT_OF_OTHERS * expected[0]:
            yield Short(direction, here, expected[0], expected[1])


# TCP's and IP's headers, its acknowledgements, and what was sent again.
_OVERHEAD = 1.1


def strangers(seen: Seen, node: str, *, sends: bool) -> float | None:
    """Bytes a second that the host's own device sent or received beside the tests, while one stream each way was
    measured; None where nobody sees that device.
    """
    found = seen.carried.get("bandwidth", {}).get(node)
    if found is None:
        return None
    own = 0.0
    for direction in DIRECTIONS:
        cell = seen.cell(TEST, direction, streams=1)
        rate = seen.value(TEST, VALUE, direction, streams=1)
        if cell is None or rate is None:
            return None  # what a failed test sent nobody knows
        if (cell.source if sends else cell.target) == node:
            own += rate / 8 * (cell.duration_seconds or 0.0) * _OVERHEAD
        else:
            own += rate / 8 * (cell.duration_seconds or 0.0) * (_OVERHEAD - 1)
    carried = found.sent_bytes if sends else found.received_bytes
    return max(0.0, carried - own) / found.seconds


def others_from(seen: Seen, node: str) -> list[float]:
    """What the node gets through to others."""
    return [value for (source, _), value in seen.others(TEST, VALUE).items() if source == node]


def others_to(seen: Seen, node: str) -> list[float]:
    """What others get through to the node."""
    return [value for (_, target), value in seen.others(TEST, VALUE).items() if target == node]


def steadiness(seen: Seen, direction: Direction) -> float | None:
    """Standard deviation over mean of a stream's intervals, its first fifth left out."""
    cell = seen.cell(TEST, direction, streams=1)
    found = [] if cell is None else [value for value in cell.intervals.get(VALUE, []) if value is not None]
    found = found[len(found) // 5 :]
    if len(found) < 4:
        return None
    mean = sum(found) / len(found)
    variance = sum((value - mean) ** 2 for value in found) / (len(found) - 1)
    return float(variance**0.5 / mean) if mean > 0 else None
