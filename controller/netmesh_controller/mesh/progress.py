"""How far a sweep is: what the engine tells and the surfaces show."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Running:
    """A measurement that runs now; `bits_per_second` is None until the tool has told a rate."""

    source: str
    target: str
    test: str
    elapsed_seconds: float
    expected_seconds: float
    bits_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A sweep at one moment, in cells.

    `done` counts every cell that ended, those of `failed` included; `left_seconds` is None while nobody can tell.
    """

    total: int
    done: int
    failed: int
    running: tuple[Running, ...]
    elapsed_seconds: float
    left_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """All of it, by name; of five hundred that run in a tenth of the time of dataclasses.asdict."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return told | {"running": [{name: getattr(one, name) for name in _RUNNING} for one in self.running]}


_RUNNING = tuple(one.name for one in fields(Running))
