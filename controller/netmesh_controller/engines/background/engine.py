"""Background bandwidth beside monitoring: one pair after the other is tested, the stalest first, within a day's bytes.

One test runs at a time in the whole mesh, so that none is beside another of them. Sweeps and diagnoses go before it: a
test that runs when one begins is ended, and none begins meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_common.tls import CertificateError
from netmesh_controller.clients.store import RunBusyError, Store, StoreError
from netmesh_controller.engines.background.record import Record
from netmesh_controller.engines.background.trial import Trial, Trying
from netmesh_controller.engines.roster import Roster
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.inventory.located import InventoryError
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.ask import AskError
from netmesh_controller.mesh.background.figures import TEST, Figures, Snapshot, copied, figure_of, lines_of, table
from netmesh_controller.mesh.background.turns import OMIT_SECONDS, TEST_SECONDS, Allowance, Ledger, Mesh, Turn, decide
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.progress import Progress, Running
from netmesh_controller.mesh.table import Table

log = logging.getLogger(__name__)

# How often one looks again, whatever is waited for: nodes come and get calm, a sweep ends.
AGAIN_SECONDS = 1.0
PAUSE_FOR_EACH_SECOND = 20.0
AFTER_AN_ERROR_SECONDS = 10.0

# Who is there and how fast its line is: asked when the mesh changes, and now and then.
NODES_SECONDS = 600.0
# Of nodes that are gone figures are kept for so long.
FORGOTTEN_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Bandwidths:
    """The last bandwidth of every pair, its age in seconds (NaN: none), and how the mesh stood."""

    table: Table
    ages: NDArray[np.float64]
    standing: Standing
    now: float


class Background:
    """Tests the pairs of the mesh that `standing` tells of (None: it is not watched now) while it leads.

    `spent`, `outcomes` and `skipped` count since the start: bytes, tests by outcome, turns of nodes that were not calm.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        roster: Roster,
        sweeps: Sweeps,
        standing: Callable[[], Standing | None],
        allowance: Allowance,
    ) -> None:
        self.allowance = allowance
        self.ledger = Ledger()
        self.spent = 0
        self.outcomes: Counter[str] = Counter()
        self.skipped = 0
        self.waiting = ""
        self._source, self._sweeps, self._standing = source, sweeps, standing
        self._record = Record(store, source, allowance)
        self._roster = roster
        self._term = 0
        self._figures = Figures()
        self._nodes: dict[str, Node] = {}
        self._nodes_until = 0.0
        self._ended: dict[str, float] = {}
        self._busy_until: dict[str, float] = {}
        self._open = False
        self._number = 0
        self._running: tuple[str, str, float] | None = None
        self._test: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        sweeps.makes_room = self.give_way

    # Who is in charge.

    async def lead(self, term: int) -> None:
        """Tests from now on."""
        await self.stand_by()
        self._term = term
        self._task = guarded_task(self._follow(), name="background bandwidth", lasting=True)

    async def stand_by(self) -> None:
        """Tests no more; a test that runs is ended."""
        if self._task is not None:
            await cancelled(self._task)
            self._task = None
        await self.give_way()
        if self._open:
            self._open = False
            try:
                await self._record.close()
            except StoreError as error:
                log.warning("background bandwidth: %s", error)

    async def give_way(self) -> None:
        """Ends the test that runs; it is over, and its endpoints are closed, when this returns."""
        if self._test is not None:
            await cancelled(self._test)

    # What there is to see.

    def progress(self) -> Progress | None:
        """The test that runs now, as of a sweep of one cell."""
        if self._running is None:
            return None
        source, target, begun = self._running
        elapsed = time.monotonic() - begun
        expected = float(TEST_SECONDS + OMIT_SECONDS)
        running = Running(source, target, TEST, elapsed, expected)
        return Progress(1, 0, 0, (running,), elapsed, max(0.0, expected - elapsed))

    async def bandwidths(self) -> Bandwidths | None:
        """The last of every pair; None where the mesh is not watched yet."""
        standing, now = self._standing(), time.time()
        if standing is None or not standing.nodes:
            return None
        last = copied(self._figures.of(standing.nodes))
        found, ages = await asyncio.to_thread(
            table, last, standing, dict(self._nodes), self.allowance, self.ledger, now
        )
        return Bandwidths(found, ages, standing, now)

    def last(self) -> Snapshot | None:
        """The last figures of the mesh's pairs as they are kept; None where it is not watched yet."""
        standing = self._standing()
        return None if standing is None or not standing.nodes else self._figures.of(standing.nodes)

    @property
    def spent_today(self) -> int:
        """Bytes of this UTC day."""
        return self.ledger.spent_on(time.time())

    # The loop.

    async def _follow(self) -> None:
        while True:
            try:
                pause = await self._once()
            except RunBusyError as error:
                self._waits("another_controller", str(error))
                pause = AFTER_AN_ERROR_SECONDS
            except (StoreError, InventoryError, CertificateError, AskError) as error:
                self._waits("error", str(error))
                # A store that was away, or a run that was deleted: it is opened anew.
                self._open = self._open and not isinstance(error, StoreError)
                pause = AFTER_AN_ERROR_SECONDS
            await asyncio.sleep(pause)

    def _waits(self, reason: str, message: str | None = None) -> None:
        if reason != self.waiting:
            told = log.info if message is None else log.warning
            told("background bandwidth waits: %s", message or reason)
        self.waiting = reason

    async def _once(self) -> float:
        """Takes a turn, if it is time for one; the seconds to wait before the next."""
        standing = self._standing()
        if standing is None or not standing.nodes:
            self._waits("no_mesh")
            return AGAIN_SECONDS
        if not self._sweeps.free:
            self._waits("sweep")
            return AGAIN_SECONDS
        if not self._open:
            ledger, cells = await self._record.open(take_over=self._term > 0)
            if self.ledger.at is None or (ledger.at is not None and ledger.at >= self.ledger.at):
                self.ledger = ledger
            self._figures = Figures(cells)
            self._open, self._nodes_until = True, 0.0
        await self._look_who_is_there(standing)
        now, thinking = time.time(), time.monotonic()
        mesh = self._mesh(standing, now)
        found = await asyncio.to_thread(decide, mesh, self.allowance, self.ledger, now)
        if not isinstance(found, Turn):
            self._waits(found.reason)
            # A million pairs take a while to choose from: it takes a twentieth of the time at most.
            again = max(AGAIN_SECONDS, PAUSE_FOR_EACH_SECOND * (time.monotonic() - thinking))
            return min(again, max(0.0, found.until - now))
        if not self._sweeps.free:
            # One began while it was thought about.
            return AGAIN_SECONDS
        self.waiting = ""
        source, target = mesh.nodes[found.source], mesh.nodes[found.target]
        self._test = guarded_task(self._take(source, target, found), name=f"background {source} {target}")
        try:
            await asyncio.wait([self._test])
        finally:
            await cancelled(self._test)
            test, self._test = self._test, None
        if not test.cancelled():
            test.result()
        return 0.0

    def _mesh(self, standing: Standing, now: float) -> Mesh:
        names = standing.nodes
        free = [
            name in self._nodes
            and name not in standing.missing
            and not self._nodes[name].facts.get("control_plane")
            and "other_traffic" not in standing.marked.get(name, ())
            and self._busy_until.get(name, 0.0) <= now
            for name in names
        ]
        return Mesh(
            nodes=names,
            tried=self._figures.of(names).at.copy(),
            free=np.array(free, dtype=bool),
            ended=np.array([self._ended.get(name, -np.inf) for name in names]),
            lines=lines_of(names, self._nodes),
        )

    async def _look_who_is_there(self, standing: Standing) -> None:
        now = time.monotonic()
        # One that is not found yet is waited for, and not asked for all the time.
        known = self._nodes.keys() >= set(standing.nodes) - standing.missing.keys()
        if now < self._nodes_until and (known or now < self._nodes_until - NODES_SECONDS + AFTER_AN_ERROR_SECONDS):
            return
        present = await self._roster.nodes()
        self._nodes = {node.name: node for node in present.nodes if node.agent("pod") is not None}
        self._nodes_until = now + NODES_SECONDS
        names = frozenset(self._nodes)
        await self._record.drop(self._figures.forget(names, time.time() - FORGOTTEN_SECONDS))
        await self._record.with_nodes(present.nodes, self._figures.names)

    async def _take(self, source: str, target: str, turn: Turn) -> None:
        self._number += 1
        begun: list[float] = []
        trying = Trying(
            self._source,
            self._term,
            self._record.run_id,
            self.allowance.busy_cpu,
            partial(self._pay, source, target, turn, begun),
        )
        counted: int | None = None
        try:
            trial = await trying.run(source, target, turn.bits_per_second, self._number)
            counted = trial.counted
        except (AskError, InventoryError) as error:
            # One of them is not there any more; the others' turns do not wait for it.
            trial = Trial(busy={source: str(error), target: str(error)})
        finally:
            self._running = None
            self._ended[source] = self._ended[target] = time.time()
            if begun:
                self.spent += turn.cost_bytes if counted is None else counted
                self.ledger = self.ledger.settled(turn.cost_bytes, counted)
        await self._ends(source, target, trial, paid=bool(begun))

    async def _pay(self, source: str, target: str, turn: Turn, begun: list[float]) -> None:
        """Both nodes are calm: the bytes are on disk before the first of them is sent."""
        ledger = self.ledger.reserved(turn.cost_bytes, time.time())
        await self._record.spend(ledger)
        self.ledger = ledger
        begun.append(time.monotonic())
        self._running = (source, target, begun[0])

    async def _ends(self, source: str, target: str, trial: Trial, *, paid: bool) -> None:
        # One that was not calm is left alone as one that was tested.
        until = time.time() + self.allowance.rest_seconds
        for name, reason in trial.busy.items():
            log.info("%s is not tested: %s", name, reason)
            self._busy_until[name] = until
        if trial.busy:
            self.skipped += 1
        if paid:
            await self._record.spend(self.ledger)
        cell = trial.cell
        if cell is None:
            return
        self.outcomes[cell.outcome] += 1
        if figure_of(cell) is None:
            # Somebody else tests there, or it goes away: another time.
            why = cell.outcome if cell.reason is None else cell.reason.message
            log.info("%s to %s is not refreshed: %s", source, target, why)
            self._busy_until[source] = self._busy_until[target] = until
            return
        await self._record.keep(cell, self._figures.add(cell))
