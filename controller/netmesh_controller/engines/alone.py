"""The last part of a sweep: the worst cells of bandwidth findings once more, each alone in the whole mesh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netmesh_controller.engines import measure
from netmesh_controller.engines.measure import AgentHandle, Attempt, Others
from netmesh_controller.engines.servicepaths import ServicePaths
from netmesh_controller.memory import give_back
from netmesh_controller.mesh.alone import record
from netmesh_controller.mesh.assemble import cell_from, counted
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.findings import Again, read_of, to_measure_again
from netmesh_controller.mesh.findings.places import LEAST_NODES
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.plan import Measurement, Plan
from netmesh_controller.mesh.table import Series

log = logging.getLogger(__name__)

_LEAST_SECONDS = 60.0
_MOST_OF_THE_SWEEP = 0.05


class Alone:
    """Gathers a sweep's bandwidths as they come, and says which of its measurements run again.

    `records` are the entries of the run's facts, as they come; those of an earlier part of a resumed run are not in it.
    """

    def __init__(self, plan: Plan, before: Iterable[Cell] = ()) -> None:
        self.records: list[dict[str, Any]] = []
        self._plan = plan
        # With fewer nodes too little is known to find anything.
        self._needed = len(plan.nodes) >= LEAST_NODES
        self._names = [node.name for node in plan.nodes]
        self._gathered: dict[Series, Gathered] = {}
        for cell in before:
            self.add(cell)

    def add(self, cell: Cell) -> None:
        """A cell of the sweep."""
        if not self._needed or TESTS[cell.test].kind != "bandwidth" or cell.source == cell.target:
            return
        series = Series.of(cell)
        if series not in self._gathered:
            self._gathered[series] = Gathered(series, self._names, read_of(cell.test))
        self._gathered[series].add(cell)

    def asked(self) -> list[Measurement]:
        """The measurements to run again, one after the other, the worst first; asked once, when all is done.

        At most 5 % of each series' cells, or four; and no more than a minute's work, or 5 % of the sweep's own
        expected time where that is longer: in a mesh where everything is wrong, all of it alone would take days.
        """
        # Of a thousand nodes each series is tens of megabytes, and as much again while it is looked at.
        give_back()
        gathered, self._gathered = self._gathered, {}
        worst = to_measure_again(self._plan.nodes, gathered, duration_seconds=self._plan.ask.duration)
        del gathered
        if not worst:
            return []
        of_cell: dict[Again, Measurement] = {}
        wanted = set(worst)
        for one in self._plan.measurements:
            for key in one.cells:
                cell = Again(Series.of(key), key.source, key.target)
                if cell in wanted:
                    of_cell.setdefault(cell, one)
        room = max(_LEAST_SECONDS, _MOST_OF_THE_SWEEP * self._plan.estimate.expected_seconds)
        chosen: list[Measurement] = []
        for one in dict.fromkeys(of_cell[cell] for cell in worst if cell in of_cell):
            room -= one.seconds
            if room < 0 and chosen:
                break
            chosen.append(one)
        return chosen

    async def measure(
        self,
        run_id: str,
        one: Measurement,
        agents: Mapping[tuple[str, str], AgentHandle],
        services: ServicePaths | None = None,
    ) -> None:
        """Runs a measurement once more; what it cannot say now is not said."""
        links = measure.links_for(one, self._plan.ask, agents, self._plan.targets)
        attempt = Attempt(one, 1, f"{run_id}/{one.index}/alone", links)
        nothing: Callable[[], None] = lambda: None  # noqa: E731  # there is no next test to open ahead
        try:
            reason = None if services is None else await services.through(attempt)
            if reason is not None:
                log.info("not measured again: %s", reason.message)
                return
            evidence = await measure.run_attempt(attempt, lambda _: Others(on_kernel=False, at_node=False), nothing)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(measure.close_endpoints(attempt)))
            raise
        finally:
            if services is not None:
                await services.done(attempt)
        for said in counted(evidence)[: len(one.cells)]:
            spec = measure.spec_for(said.key.test, said.key.parameters, self._plan.ask)
            cell = cell_from(said, duration_seconds=spec.duration_seconds, omit_seconds=spec.omit_seconds)
            entry = record(cell)
            if entry is None:
                log.info("not measured again: %s", cell.reason.message if cell.reason else "no bandwidth")
            else:
                self.records.append(entry)
