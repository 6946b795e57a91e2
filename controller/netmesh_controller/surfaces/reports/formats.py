"""What a format of reports is, and which there are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from netmesh_common.errors import BadUsageError
from netmesh_controller.mesh.catalogue import RELATIONS
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.relations import with_relations
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces import reports
from netmesh_controller.surfaces.reports.content import LARGE_MESH, STATISTICS, Content, Source, content_of

CsvLayout = Literal["long", "wide"]


class ReportError(BadUsageError):
    """A report cannot be made; the message says what is wrong with what was asked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a run is wanted: all where nothing is named. `expectations` are the texts of `--expect`."""

    paths: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    statistic: str = "mean"
    csv: CsvLayout = "long"
    expectations: tuple[str, ...] = ()


@dataclass
class Wanted:
    """A run and what is wanted of it; the content is worked out once for all formats.

    `whole` is the source with all of its cells, where a format is the run document; ReportError where it has them not.
    """

    source: Source
    whole: Callable[[], Source]
    choice: Choice = field(default_factory=Choice)

    @classmethod
    def of(cls, document: RunDocument, choice: Choice | None = None) -> Wanted:
        """What is wanted of a run document."""
        return cls.of_source(Source.of(document), choice)

    @classmethod
    def of_source(cls, source: Source, choice: Choice | None = None) -> Wanted:
        """What is wanted of a source that has all of its cells."""
        return cls(source, lambda: source, choice or Choice())

    @cached_property
    def tables(self) -> list[Table]:
        """The chosen tables alone, those of relations included; ReportError where there is none of a name."""
        choice, tables = self.choice, list(self.source.tables)
        if len(self.source.nodes) <= LARGE_MESH or RELATIONS & set(choice.values):
            # Of a large mesh each is a million numbers more, in a page that nobody may ask for them.
            tables = with_relations(tables, self.source.nodes)
        if choice.statistic not in ("mean", *STATISTICS):
            known = ", ".join(("mean", *STATISTICS))
            raise ReportError(f"--statistic: there is no '{choice.statistic}'; there are {known}")
        named: tuple[tuple[str, tuple[str, ...], Callable[[Table], str]], ...] = (
            ("path", choice.paths, lambda table: table.series.path),
            ("test", choice.tests, lambda table: table.series.test),
            ("value", choice.values, lambda table: table.value),
        )
        for option, names, of in named:
            there = list(dict.fromkeys(of(table) for table in tables))
            for name in names:
                if name not in there:
                    others = ", ".join(there) or "none"
                    raise ReportError(f"--{option}: the run has no {option} '{name}' here; it has {others}")
            if names:
                tables = [table for table in tables if of(table) in names]
        return tables

    @cached_property
    def content(self) -> Content:
        """What reports show of the chosen part."""
        return content_of(replace(self.source, tables=self.tables))

    def headline(self, values: Iterable[str]) -> list[str]:
        """The values that a format with little room shows: those asked for, else the weightiest, the first."""
        there = list(values)
        return there if self.choice.values else there[:1]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the endings of its files, and how it is written. `render` raises ReportError with a sentence."""

    endings: tuple[str, ...]
    render: Callable[[Wanted, str], Iterable[bytes]]


@cache
def formats() -> dict[str, Format]:
    """The formats by ending, each a module of this package."""
    found: dict[str, Format] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(reports.__path__)):
        kind = getattr(importlib.import_module(f"{reports.__name__}.{module}"), "FORMAT", None)
        if isinstance(kind, Format):
            found.update(dict.fromkeys(kind.endings, kind))
    return found


def format_for(path: Path) -> Format:
    """The format of a file by its ending; ReportError where there is none."""
    kind = formats().get(ending_of(path))
    if kind is None:
        endings = sorted(formats())
        raise ReportError(f"{path.name} must end in {', '.join(endings[:-1])} or {endings[-1]}")
    return kind


def ending_of(path: Path) -> str:
    """The ending that names a file's format: the longest that there is, else the last."""
    name = path.name.lower()
    return max((ending for ending in formats() if name.endswith(ending)), key=len, default=path.suffix)


def write_report(wanted: Wanted, path: Path) -> None:
    """Writes one file in the format that its ending names; ReportError and OSError."""
    kind = format_for(path)
    parts = iter(kind.render(wanted, ending_of(path)))
    # What is wrong shows before the first part: no file is begun for it.
    first = next(parts, b"")
    with path.open("wb") as file:
        file.write(first)
        for part in parts:
            file.write(part)
