"""The sweeps of a controller that stays: started, watched, cancelled, and resumed after a restart.

One sweep runs at a time. Two sweeps of disjoint nodes would still share the fabric between them, and a sweep's caps
hold within it only; one that is asked for meanwhile is refused and not queued, so that nothing that was accepted can
be lost: a run is in the store before its sweep is answered for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from netmesh_common.garbage import set_aside, steady
from netmesh_common.tasks import cancelled, guarded_task
from netmesh_common.tls import CertificateError
from netmesh_controller.clients.store import RunFilter, RunNotFoundError, Store, StoreError
from netmesh_controller.engines import runs
from netmesh_controller.engines.events import EventLog
from netmesh_controller.engines.jobs import BusyError, Job, NoAgentsError, NotLeadingError, told
from netmesh_controller.engines.survey import Survey, survey
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.inventory.located import InventoryError
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.document import RunState
from netmesh_controller.mesh.outline import Outline, outline_of
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.mesh.selection import Selection

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.5
# Between two attempts to resume a run whose agents do not answer yet; they may start at the same time as we do.
AGAIN_SECONDS = 5.0
_REMEMBERED = 20
# In a run's facts: who runs it. A controller that stays takes up its own runs only, not those of a command line.
OWNER = "serve"


async def surveyed(source: Source, selection: Selection, *, term: int = 0, **more: Any) -> Survey:
    """A survey of a source's agents; NoAgentsError where none answers, InventoryError where they cannot be found.

    `more` is the survey's `idle_seconds` and `answer_seconds`.
    """
    await source.refresh()
    found = await survey(
        await source.locate(),
        source.certificates,
        term=term,
        selection=selection,
        presence=source.presence(),
        maker=source.maker(),
        **more,
    )
    if not found.agents:
        await found.close()
        refused = bool(found.unreachable) and all(reason.code == "refused" for reason in found.unreachable.values())
        said = runs.unreachable_reason(found.unreachable) or "none is there"
        raise NoAgentsError(
            f"no agent takes the certificates: {said}" if refused else f"no agent answered: {said}", refused=refused
        )
    return found


async def _nothing_runs() -> None:
    return


class Sweeps:
    """Starts, resumes and cancels sweeps over the agents of one source.

    `makes_room` ends what measures without the one place, such as a test in the background; whoever takes the place
    awaits it before the first agent is asked.
    """

    makes_room: Callable[[], Awaitable[None]] = staticmethod(_nothing_runs)

    def __init__(self, store: Store, source: Source) -> None:
        self._store = store
        self._source = source
        self._jobs: dict[str, Job] = {}
        self._place: str | None = None  # the run that takes the one place, "" while it is being prepared
        self._term: int | None = None
        self._leader: str | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._guest: asyncio.Task[Any] | None = None
        self._guest_progress: Callable[[], Progress | None] = lambda: None
        # Told of each survey of all nodes, and how many seconds it took.
        self.on_survey: Callable[[Survey, float], None] = lambda _found, _took: None

    @property
    def free(self) -> bool:
        """Whether nobody has the one place."""
        return self._place is None

    @property
    def source(self) -> Source:
        """Whose agents measure."""
        return self._source

    # Who may measure.

    async def lead(self, term: int) -> None:
        """This controller is in charge from now on; runs of its own that were interrupted are taken up."""
        self._term = term
        self._look_for_interrupted()

    async def stand_by(self, leader: str | None = None) -> None:
        """Another is in charge, or this one ends: the sweep stops, and its run stays as it is, to be resumed."""
        self._term, self._leader = None, leader
        if self._resuming is not None:
            await cancelled(self._resuming)
        if self._guest is not None:
            await cancelled(self._guest)
        await cancelled(*(job.task for job in self._jobs.values() if job.task is not None))

    @contextmanager
    def exclusively(self, progress: Callable[[], Progress | None]) -> Iterator[int]:
        """The one place, for tests of the calling task's own, such as a diagnosis; gives the term. It is cancelled when
        this controller stands by. BusyError, NotLeadingError."""
        term = self._leading()
        with self._taking_place():
            self._guest, self._guest_progress = asyncio.current_task(), progress
            try:
                yield term
            finally:
                self._guest, self._guest_progress = None, lambda: None

    def progress(self) -> Progress | None:
        """Of what measures now: the sweep, or who has its place."""
        return self._guest_progress() if self.current is None else self.current.progress()

    # Sweeps.

    @property
    def current(self) -> Job | None:
        """The sweep that runs now."""
        return self._jobs.get(self._place or "")

    @property
    def jobs(self) -> list[Job]:
        """The sweep that runs, and the last ones that did, newest first."""
        return list(reversed(self._jobs.values()))

    def job(self, run_id: str) -> Job | None:
        """A sweep that runs, or one of the last that did."""
        return self._jobs.get(run_id)

    def check_not_running(self, run_id: str) -> None:
        """BusyError where the run is being measured here, so that it cannot be deleted or replaced."""
        if self._place == run_id:
            raise BusyError(run_id)

    async def outline(self, asked: Mapping[str, Any]) -> tuple[Outline, tuple[str, ...]]:
        """What a sweep would do, and the survey's remarks; nothing is measured."""
        ask = ask_from(asked)
        found = await surveyed(self._source, ask.selection, term=self._leading(), idle_seconds=0)
        try:
            prepared = runs.prepare(ask, asked, found, name=None, facts={})
            return outline_of(prepared.todo), found.remarks
        finally:
            await found.close()

    async def start(self, asked: Mapping[str, Any], *, name: str | None = None, history: Sequence[str] = ()) -> Job:
        """Starts a sweep; its run is stored when this returns. `history` has the ids of earlier runs of the store.

        Raises AskError, BusyError, NotLeadingError, NoAgentsError, InventoryError or StoreError, and then there is no
        run.
        """
        ask = ask_from(asked)
        term = self._leading()
        with self._taking_place():
            await self.makes_room()
            # Now, while little is there.
            steady()
            began = time.monotonic()
            found = await surveyed(self._source, ask.selection, term=term)
            if ask.selection == Selection():
                self.on_survey(found, time.monotonic() - began)
            try:
                facts = {**self._source.facts, "source": self._source.recorded, "controller": OWNER}
                if history:
                    facts[runs.HISTORY] = list(history)
                prepared = runs.prepare(ask, asked, found, name=name, facts=facts)
                await runs.begin(prepared, self._store)
                return self._launch(prepared)
            except BaseException:
                await found.close()
                raise

    async def resume(self, run_id: str) -> Job:
        """Measures what is missing of a stored run; raises as `start` does, and RunNotFoundError."""
        term = self._leading()
        with self._taking_place():
            return await self._resume(run_id, term)

    async def cancel(self, run_id: str) -> bool:
        """Ends a sweep; what is measured is kept. False where no such sweep is under way."""
        job = self._jobs.get(run_id)
        if job is not None and job.task is not None and not job.task.done():
            job.cancelling = True
            job.task.cancel()
            return True
        if self._place == run_id and self._resuming is not None:
            # It waits for its agents.
            await cancelled(self._resuming)
            try:
                stored = await self._store.load(run_id)
                ended = stored.run.model_copy(update={"state": "cancelled", "finished_at": runs.utc_now()})
                await self._store.put_run(ended, stored.nodes)
            finally:
                self._look_for_interrupted()
            return True
        return False

    # How it is done.

    def _leading(self) -> int:
        if self._term is None:
            raise NotLeadingError(self._leader)
        return self._term

    @contextmanager
    def _taking_place(self) -> Iterator[None]:
        """The one place, from here on; given back where no sweep came of it."""
        if self._place is not None:
            raise BusyError(self._place or None)
        self._place = ""
        try:
            yield
        finally:
            if self.current is None:
                self._place = None

    async def _resume(self, run_id: str, term: int) -> Job:
        stored = await self._store.load(run_id)
        ask = ask_from(stored.run.plan.asked)
        await self.makes_room()
        steady()
        found = await surveyed(self._source, ask.selection, term=term)
        try:
            prepared = runs.prepare_resume(stored, ask, found)
            await runs.begin(prepared, self._store, take_over=term > 0)
            return self._launch(prepared)
        except BaseException:
            await found.close()
            raise

    def _look_for_interrupted(self) -> None:
        if self._term is not None and (self._resuming is None or self._resuming.done()):
            self._resuming = guarded_task(self._resume_interrupted(), name="resume interrupted runs")

    async def _resume_interrupted(self) -> None:
        """Until there is none left: one whose store is lost meanwhile is interrupted again."""
        given_up: set[str] = set()
        while left := [run_id for run_id in await self._found_interrupted() if run_id not in given_up]:
            run_id = left[0]
            log.info("run %s was interrupted and is resumed", run_id)
            while self._place is not None:
                await asyncio.sleep(AGAIN_SECONDS)
            self._place = run_id
            try:
                job = await self._resumed(run_id)
            finally:
                if self._place == run_id and not self._at_work(run_id):
                    self._place = None
            if job is None or job.task is None:
                given_up.add(run_id)
            else:
                await asyncio.wait([job.task])

    def _at_work(self, run_id: str) -> bool:
        job = self._jobs.get(run_id)
        return job is not None and job.task is not None and not job.task.done()

    async def _found_interrupted(self) -> list[str]:
        while True:
            try:
                return await self._interrupted()
            except StoreError as error:
                log.warning("runs that were interrupted cannot be looked for yet: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _resumed(self, run_id: str) -> Job | None:
        while True:
            try:
                return await self._resume(run_id, self._leading())
            except (RunNotFoundError, AskError) as error:
                log.error("run %s cannot be resumed and stays as it is: %s", run_id, error)  # noqa: TRY400  # a sentence
                return None
            except (NoAgentsError, InventoryError, CertificateError, StoreError) as error:
                log.warning("run %s cannot be resumed yet: %s", run_id, error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _interrupted(self) -> list[str]:
        """Runs of this controller's own that nobody has the right to measure now, oldest first."""
        mine = []
        for info in reversed(await self._store.runs(RunFilter(states=("running", "interrupted")))):
            run = info.run
            # Who leads by a Lease takes over from one that still lives: agents refuse that one's calls from now on. A
            # run of this process that is not at work lost its store.
            left = info.abandoned or (run.state == "running" and (bool(self._term) or run.id in self._jobs))
            if not left or self._at_work(run.id) or run.facts.get("controller") != OWNER:
                continue
            if run.facts.get("source") == self._source.recorded:
                mine.append(run.id)
            else:
                log.warning("run %s was interrupted, but had other agents (%s)", run.id, run.facts.get("source"))
        return mine

    def _launch(self, prepared: runs.Prepared) -> Job:
        # Nodes and plan stay for long: of a thousand nodes each look at them would be a fifth of a second in mid-sweep.
        set_aside()
        run = prepared.run
        job = Job(
            run.id,
            run.name,
            outline_of(prepared.todo),
            prepared.survey.remarks,
            planned=runs.cell_count(prepared.whole),
        )
        job.events.append(
            "started",
            {
                "run": run.id,
                "name": run.name,
                "outline": job.outline.model_dump(mode="json"),
                "remarks": list(job.remarks),
            },
        )
        engine = runs.sweep_of(prepared, self._store, lambda cell: job.events.append("cell", told(cell)))
        job.progress = engine.progress
        self._jobs.pop(run.id, None)
        self._jobs[run.id] = job
        self._place = run.id
        for old in list(self._jobs)[:-_REMEMBERED]:
            del self._jobs[old]
        job.task = guarded_task(self._run(job, prepared, engine), name=f"sweep {run.id}")
        job.task.add_done_callback(lambda _: self._look_for_interrupted() if job.store_lost else None)
        return job

    async def _run(self, job: Job, prepared: runs.Prepared, engine: Sweep) -> None:
        ticker = guarded_task(_tell_progress(engine, job.events), name=f"progress of {job.run_id}")
        try:
            try:
                await engine.run()
            finally:
                await cancelled(ticker)
                _tell(engine, job.events)
            await self._finish(job, prepared, None)
        except asyncio.CancelledError:
            if not job.cancelling:
                # The run stays as it is: it is resumed by whoever leads next.
                await self._store.leave_run(job.run_id)
                raise
            await self._finish(job, prepared, "cancelled")
        except StoreError as error:
            # What was stored is there; the rest is measured once the store is back.
            log.error("run %s stops: %s", job.run_id, error)  # noqa: TRY400  # a sentence
            job.store_lost = True
        except Exception:
            await self._finish(job, prepared, "failed")
            raise
        finally:
            job.events.close()
            self._place = None
            # A job is remembered for a while; its plan and its agents are not.
            last = engine.progress()
            job.progress = lambda: last
            await prepared.survey.close()

    async def _finish(self, job: Job, prepared: runs.Prepared, state: RunState | None) -> None:
        ended = await runs.finish(prepared, self._store, interrupted=state)
        job.state = ended.run.state
        measured = ended.outcomes.get("measured", 0)
        job.events.append(
            "finished",
            {
                "run": job.run_id,
                "state": job.state,
                "planned": job.planned,
                "measured": measured,
                "gaps": job.planned - measured,
            },
        )


def _tell(engine: Sweep, events: EventLog) -> None:
    events.append("progress", engine.progress().as_json(), passing=True)


async def _tell_progress(engine: Sweep, events: EventLog) -> None:
    while True:
        _tell(engine, events)
        await asyncio.sleep(PROGRESS_SECONDS)
