"""CSV by RFC 4180: long (a row a pair and value, with all statistics and the reason) or wide (matrices).

A name that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from netmesh_controller.mesh.catalogue import RELATIONS
from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.reports.content import STATISTICS, SeriesContent
from netmesh_controller.surfaces.reports.formats import Format, ReportError, Wanted

_PARAMETERS: tuple[str, ...] = tuple(Parameters.model_fields)
_ALL: tuple[str, ...] = ("mean", *STATISTICS)
_ROWS_AT_ONCE = 10_000
# What spreadsheets begin a formula with, and the white space that they skip before it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render(wanted: Wanted, _ending: str) -> Iterator[bytes]:
    """The rows, a piece at a time."""
    rows = _wide(wanted) if wanted.choice.csv == "wide" else _long(wanted)
    held = io.StringIO(newline="")
    writer = csv.writer(held)  # lines end in CRLF
    for number, row in enumerate(rows, start=1):
        writer.writerow([guarded(one) for one in row])
        if number % _ROWS_AT_ONCE == 0:
            yield held.getvalue().encode()
            held.seek(0)
            held.truncate()
    yield held.getvalue().encode()


def guarded(one: object) -> object:
    """Text that no spreadsheet takes for a formula; numbers as they are."""
    return f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) else one


def _long(wanted: Wanted) -> Iterator[Iterable[object]]:
    content = wanted.content
    zones = {node.name: node.zone or "" for node in content.nodes}
    yield (
        *("path", "test", *_PARAMETERS, "source", "source_zone", "target", "target_zone", "value", "unit"),
        *_ALL,
        *("repeats_measured", "reason", "reason_message"),
    )
    for one in content.series:
        parameters = [_plain(getattr(one.series.parameters, name)) for name in _PARAMETERS]
        for value, tables in _values(wanted, one):
            mean = tables["mean"]
            for row, source in enumerate(mean.sources):
                for column, target in enumerate(mean.targets):
                    reason = mean.reason(row, column)
                    yield (
                        *(one.series.path, one.series.test, *parameters),
                        *(source, zones.get(source, ""), target, zones.get(target, ""), value, mean.unit),
                        *(_number(tables.get(name), row, column) for name in _ALL),
                        *(int(one.repeats[row, column]), reason or "", _message(one, row, column, reason)),
                    )


def _values(wanted: Wanted, one: SeriesContent) -> Iterator[tuple[str, Mapping[str, Table]]]:
    """The values of a series: of those that follow from others only what was asked for."""
    for value, tables in one.tables.items():
        if value not in RELATIONS or value in wanted.choice.values:
            yield value, tables


def _message(one: SeriesContent, row: int, column: int, reason: str | None) -> str:
    return one.messages.get((row, column), "") if reason is not None else ""


def _wide(wanted: Wanted) -> Iterator[Iterable[object]]:
    """A section a matrix: a line that says what it is, a line of targets, a line a source, an empty line."""
    statistic = wanted.choice.statistic
    if not any(statistic in tables for one in wanted.content.series for tables in one.tables.values()):
        raise ReportError(f"--statistic: no value has '{statistic}' here")
    for one in wanted.content.series:
        for value, tables in _values(wanted, one):
            table = tables.get(statistic)
            if table is None:
                continue
            parameters = [
                f"{name}={found}" for name, found in one.series.parameters.model_dump().items() if found is not None
            ]
            unit = f"{value} [{table.unit}]"
            yield (one.series.path, one.series.test, "; ".join(parameters), unit, table.statistic)
            yield ("source \\ target", *table.targets)
            for row, source in enumerate(table.sources):
                entries = (_entry(table, row, column) for column in range(len(table.targets)))
                yield (source, *entries)
            yield ()


def _entry(table: Table, row: int, column: int) -> object:
    """A number, or the code of the reason for none."""
    return table.reason(row, column) or _number(table, row, column)


def _number(table: Table | None, row: int, column: int) -> object:
    """The number without a needless end of zeros; nothing where there is none."""
    if table is None or not np.isfinite(table.values[row, column]):
        return ""
    number = float(table.values[row, column])
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _plain(parameter: object) -> object:
    return "" if parameter is None else parameter


FORMAT = Format((".csv",), render)
