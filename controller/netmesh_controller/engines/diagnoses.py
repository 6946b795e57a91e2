"""The diagnoses of a controller that stays: started, watched, cancelled. Each takes the place of a sweep."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Literal

from netmesh_common.errors import CouldNotRunError
from netmesh_common.tasks import guarded_task
from netmesh_controller.clients.store import Store
from netmesh_controller.engines.diagnosis import Diagnosing, diagnose, patience
from netmesh_controller.engines.events import EventLog
from netmesh_controller.engines.sweeps import Sweeps, surveyed
from netmesh_controller.mesh.diagnosis.document import Diagnosis
from netmesh_controller.mesh.diagnosis.steps import STEPS, Step
from netmesh_controller.mesh.document import Run
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.mesh.selection import Selection

log = logging.getLogger(__name__)

_REMEMBERED = 20

State = Literal["running", "complete", "cancelled", "failed"]


@dataclass(slots=True)
class DiagnosisJob:
    """A diagnosis while it runs and for a while after; its `run` keeps the cells, and its id is the diagnosis' own."""

    run: str
    source: str
    target: str
    quick: bool
    state: State = "running"
    found: Diagnosis | None = None
    events: EventLog = field(default_factory=EventLog)
    task: asyncio.Task[None] | None = None


class Diagnoses:
    """Over the agents of one source. Events: `step` (name, title, number, of), `finished` (state, the diagnosis)."""

    def __init__(self, store: Store, sweeps: Sweeps) -> None:
        self._store = store
        self._sweeps = sweeps
        self._jobs: dict[str, DiagnosisJob] = {}

    @property
    def jobs(self) -> list[DiagnosisJob]:
        """Newest first."""
        return list(reversed(self._jobs.values()))

    def job(self, run_id: str) -> DiagnosisJob | None:
        """One that runs, or one of the last that did."""
        return self._jobs.get(run_id)

    async def start(self, source: str, target: str, *, quick: bool) -> DiagnosisJob:
        """Starts one; its run is stored when this returns.

        Raises BadUsageError where the two are not two nodes, and what `Sweeps.start` raises; then there is no run.
        """
        begun: asyncio.Future[DiagnosisJob] = asyncio.get_running_loop().create_future()
        task = guarded_task(self._run(source, target, quick, begun), name=f"diagnosis of {source} and {target}")
        # A caller that goes away takes nothing with it: what has begun goes on.
        either: list[asyncio.Future[Any]] = [begun, task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            raise CouldNotRunError("the diagnosis ended before it began; this controller is stopping")
        return begun.result()

    def cancel(self, run_id: str) -> bool:
        """Ends it; what is measured is kept. False where no such diagnosis is under way."""
        job = self._jobs.get(run_id)
        if job is None or job.task is None or job.task.done():
            return False
        job.task.cancel()
        return True

    async def _run(self, source: str, target: str, quick: bool, begun: asyncio.Future[DiagnosisJob]) -> None:
        under_way: list[Diagnosing] = []

        def progress() -> Progress | None:
            engine = under_way[0].engine if under_way else None
            return None if engine is None else engine.progress()

        def on_begun(run: Run, diagnosing: Diagnosing) -> None:
            under_way.append(diagnosing)
            job = DiagnosisJob(run.id, source, target, quick, task=asyncio.current_task())
            self._jobs[run.id] = job
            for old in list(self._jobs)[:-_REMEMBERED]:
                del self._jobs[old]
            most = diagnosing.most()
            told = {"run": run.id, "source": source, "target": target, "most": most.model_dump(mode="json")}
            job.events.append("started", told)
            begun.set_result(job)

        def on_step(step: Step) -> None:
            told = {"name": step.name, "title": step.title, "number": STEPS.index(step) + 1, "of": len(STEPS)}
            begun.result().events.append("step", told)

        try:
            with self._sweeps.exclusively(progress) as term:
                await self._sweeps.makes_room()
                found = await surveyed(self._sweeps.source, Selection(), term=term, **patience(quick=quick))
                try:
                    where = self._sweeps.source
                    facts: dict[str, Any] = {**where.facts, "source": where.recorded}
                    diagnosis = await diagnose(
                        source, target, found, self._store, quick=quick, on_step=on_step, on_begun=on_begun, facts=facts
                    )
                finally:
                    await found.close()
        except asyncio.CancelledError:
            self._ended(begun, "cancelled", None)
            raise
        except Exception as error:
            if begun.done():
                self._ended(begun, "failed", None)
                raise
            # Whoever asked for it hears of it.
            begun.set_exception(error)
        else:
            self._ended(begun, "complete", diagnosis)

    @staticmethod
    def _ended(begun: asyncio.Future[DiagnosisJob], state: State, found: Diagnosis | None) -> None:
        if not begun.done():
            return
        job = begun.result()
        job.state, job.found = state, found
        told = None if found is None else found.model_dump(mode="json", by_alias=True)
        job.events.append("finished", {"run": job.run, "state": state, "diagnosis": told})
        job.events.close()
