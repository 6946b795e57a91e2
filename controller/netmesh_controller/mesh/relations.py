"""What reports show beside the measured values of bandwidth: each pair against its way back, its hosts and its line.

They follow from the run's matrices and nodes and are in no document; each is a table of ratios of its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from netmesh_controller.mesh.catalogue import OF_THE_HOSTS, OF_THE_LINE, THERE_OVER_BACK
from netmesh_controller.mesh.derived import asymmetry, share_of, share_of_line_rate
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.paths import BASELINE_PATH
from netmesh_controller.mesh.table import Series, Table, same_shape

_LOOKED_AT = "bits_per_second"


def with_relations(tables: Sequence[Table], nodes: Sequence[Node]) -> list[Table]:
    """The tables of a run, each series' relations after its own; such as have no number are left out."""
    hosts = {
        (one.series.test, one.series.parameters): one
        for one in tables
        if one.value == _LOOKED_AT and one.series.path == BASELINE_PATH
    }
    more: dict[Series, list[Table]] = {}
    for one in tables:
        if one.value == _LOOKED_AT:
            beside = hosts.get((one.series.test, one.series.parameters))
            more[one.series] = [table for table in _of(one, beside, nodes) if table.known.any()]
    made: list[Table] = []
    for place, one in enumerate(tables):
        made.append(one)
        if place + 1 == len(tables) or tables[place + 1].series != one.series:
            made += more.pop(one.series, [])
    return made


def _of(table: Table, hosts: Table | None, nodes: Sequence[Node]) -> Iterator[Table]:
    if table.targets == table.sources:
        yield replace(asymmetry(table), value=THERE_OVER_BACK, statistic="mean")
    if hosts is not None and table.series.path != BASELINE_PATH and same_shape(table, hosts):
        yield replace(share_of(table, hosts), value=OF_THE_HOSTS, statistic="mean")
    # A rate that was asked for says nothing of the line.
    if table.series.parameters.offered_bits_per_second is None:
        yield replace(share_of_line_rate(table, nodes), value=OF_THE_LINE, statistic="mean")
