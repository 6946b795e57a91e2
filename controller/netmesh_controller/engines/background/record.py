"""The run that keeps what tests in the background found: the last cell of each pair, and the bytes spent today."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from netmesh_controller.clients.store import RunNotFoundError, Store
from netmesh_controller.engines.runs import new_run
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.background.figures import TEST, facts_of, ledger_of
from netmesh_controller.mesh.background.turns import OMIT_SECONDS, TEST_SECONDS, Allowance, Ledger
from netmesh_controller.mesh.document import Cell, CellKey, Node, Run

NAME = "background bandwidth"
# In a run's facts, beside the runs of sweeps: it is nothing to be resumed by them.
OWNER = "background"


class Record:
    """One run a source of agents, under an id of its own, so that it is found again after a restart.

    Methods raise what the store's do; RunNotFoundError where somebody deleted the run meanwhile.
    """

    def __init__(self, store: Store, source: Source, allowance: Allowance) -> None:
        self._store = store
        self._source = source
        self._allowance = allowance
        recorded = json.dumps(source.recorded, sort_keys=True).encode()
        self.run_id = f"{OWNER}-{hashlib.sha256(recorded).hexdigest()[:8]}"
        self._run: Run | None = None
        self._nodes: tuple[Node, ...] = ()

    async def open(self, *, take_over: bool) -> tuple[Ledger, tuple[Cell, ...]]:
        """Takes the run up, or begins it; RunBusyError where another living process keeps it."""
        asked = {"background-bandwidth": self._allowance.day_bytes}
        resolved = {
            "tests": [TEST],
            "duration": TEST_SECONDS,
            "omit": OMIT_SECONDS,
            "share": self._allowance.share,
            "rate": self._allowance.rate,
        }
        facts = {**self._source.facts, "source": self._source.recorded, "controller": OWNER}
        run = new_run(asked, resolved, name=NAME, facts=facts).model_copy(update={"id": self.run_id})
        cells: tuple[Cell, ...] = ()
        ledger = Ledger()
        try:
            stored = await self._store.load(self.run_id)
        except RunNotFoundError:
            pass
        else:
            ledger, cells, self._nodes = ledger_of(stored.run.facts), stored.cells, stored.nodes
            kept = {"started_at": stored.run.started_at, "name": stored.run.name}
            run = run.model_copy(update={**kept, "facts": {**facts, **facts_of(ledger)}})
        await self._store.begin_run(run, self._nodes, take_over=take_over)
        self._run = run
        return ledger, cells

    async def spend(self, ledger: Ledger) -> None:
        """Writes what was spent, before the test that spends it."""
        if self._run is None:
            raise RunNotFoundError(f"there is no run '{self.run_id}'")
        self._run.facts.update(facts_of(ledger))
        await self._store.put_facts(self.run_id, self._run.facts)

    async def keep(self, cell: Cell, instead_of: CellKey | None) -> None:
        """Writes the last cell of a pair, in place of the one that it had."""
        await self._store.put_cells(self.run_id, [cell])
        if instead_of is not None:
            await self._store.drop_cells(self.run_id, [instead_of])

    async def drop(self, keys: Sequence[CellKey]) -> None:
        """Forgets cells of nodes that are long gone."""
        if keys:
            await self._store.drop_cells(self.run_id, keys)

    async def with_nodes(self, nodes: Sequence[Node], having_cells: frozenset[str]) -> None:
        """Writes who is in the mesh; those that are gone stay as long as they have cells."""
        if self._run is None:
            raise RunNotFoundError(f"there is no run '{self.run_id}'")
        here = {node.name for node in nodes}
        gone = [node for node in self._nodes if node.name in having_cells - here]
        self._nodes = (*nodes, *gone)
        await self._store.put_run(self._run, self._nodes)

    async def close(self) -> None:
        """Keeps it no more: the next to lead goes on with it."""
        if self._run is not None:
            self._run = None
            await self._store.leave_run(self.run_id)
