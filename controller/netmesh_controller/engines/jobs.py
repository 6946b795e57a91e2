"""A sweep of a controller that stays: its record while it runs, and why one is not started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netmesh_controller.engines.events import EventLog
from netmesh_controller.mesh.document import Cell, RunState
from netmesh_controller.mesh.outline import Outline
from netmesh_controller.mesh.progress import Progress


class BusyError(Exception):
    """Another sweep is running; `run_id` is its run, None while it is being prepared."""

    def __init__(self, run_id: str | None) -> None:
        what = f"run {run_id}" if run_id else "another sweep or a diagnosis"
        super().__init__(f"{what} is under way, and one runs at a time; wait for it or cancel it")
        self.run_id = run_id


class NotLeadingError(Exception):
    """This controller may not measure now; `leader` is the one that does, where it is known."""

    def __init__(self, leader: str | None) -> None:
        super().__init__(f"another controller leads: {leader}" if leader else "no controller leads yet; try again")
        self.leader = leader


class NoAgentsError(Exception):
    """Nothing can be measured, since no agent answers; the message says why. `refused`: none takes the certificates."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(slots=True)
class Job:
    """A sweep of this controller, while it runs and for a while after. `planned` counts cells."""

    run_id: str
    name: str | None
    outline: Outline
    remarks: tuple[str, ...]
    planned: int
    state: RunState = "running"
    events: EventLog = field(default_factory=EventLog)
    cancelling: bool = False
    store_lost: bool = False
    progress: Callable[[], Progress | None] = lambda: None
    task: asyncio.Task[None] | None = None


def told(cell: Cell) -> dict[str, Any]:
    """A cell as an event tells it: its key, how it ended, and each value's mean."""
    return {
        **cell.key.model_dump(mode="json"),
        "attempt": cell.attempt,
        "outcome": cell.outcome,
        "reason": None if cell.reason is None else cell.reason.model_dump(mode="json"),
        "values": {name: None if summary is None else summary.mean for name, summary in cell.values.items()},
    }
