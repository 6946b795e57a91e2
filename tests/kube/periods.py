"""When netmesh had its rights: what the audit log tells of other times is not held against it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Periods:
    """Kept in a file of the cluster, so that sessions which share it (NETMESH_KUBE_REUSE=1) know of each other.

    A controller that is being removed outlives its rights by some seconds.
    """

    file: Path

    def begin(self) -> None:
        """The rights are about to be given; nothing where they are there."""
        known = self._read()
        if not known or known[-1][1] is not None:
            self._write([*known, [_now(), None]])

    def end(self) -> None:
        """The rights are about to be taken; nothing where they were not there."""
        known = self._read()
        if known and known[-1][1] is None:
            self._write([*known[:-1], [known[-1][0], _now()]])

    def has(self, moment: datetime) -> bool:
        """Whether the rights were there at a moment, which has a time zone."""
        return any(
            datetime.fromisoformat(start or "") <= moment and (end is None or moment < datetime.fromisoformat(end))
            for start, end in self._read()
        )

    def _read(self) -> list[list[str | None]]:
        try:
            known: list[list[str | None]] = json.loads(self.file.read_text())
        except FileNotFoundError:
            return []
        return known

    def _write(self, periods: list[list[str | None]]) -> None:
        self.file.write_text(json.dumps(periods))


def _now() -> str:
    return datetime.now(UTC).isoformat()
