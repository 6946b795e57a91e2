"""`--output FILE`, of whatever command: checked before anything is done, written at its end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from netmesh_controller.clients.runfile import LINES
from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError
from netmesh_controller.surfaces.reports.content import LARGE_MESH, Source
from netmesh_controller.surfaces.reports.document import ending_for
from netmesh_controller.surfaces.reports.formats import ReportError, Wanted, ending_of, format_for, write_report


def check_outputs(paths: Iterable[Path]) -> None:
    """Whether each can be written, told before a sweep and not after it."""
    for path in paths:
        try:
            format_for(path)
        except ReportError as error:
            raise BadUsageError(f"--output: {error}") from error
        if not path.parent.is_dir():
            raise BadUsageError(f"--output: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise BadUsageError(f"--output: {path} cannot be written")


def check_sizes(paths: Iterable[Path], cells: int) -> None:
    """Whether a run of so many cells goes into each, told once the plan is known."""
    for path in paths:
        if ending_for(ending_of(path), cells) != ending_of(path):
            raise BadUsageError(
                f"--output: {path}: a run of {cells} cells goes into a file that ends in {LINES}, a cell a line"
            )


def fitting(paths: Iterable[Path], cells: int) -> tuple[list[Path], list[str]]:
    """The files that a finished run of so many cells is written to, and a sentence on each that has another name."""
    found, said = [], []
    for path in paths:
        ending = ending_of(path)
        other = ending_for(ending, cells)
        file = path if other == ending else path.with_name(path.name[: len(path.name) - len(ending)] + other)
        found.append(file)
        if file != path:
            said.append(f"{file} is written in place of {path}: the run has {cells} cells, which go one to a line.")
    return found, said


def write_outputs(wanted: Wanted, paths: Iterable[Path]) -> None:
    """Writes all files."""
    for path in paths:
        try:
            write_report(wanted, path)
        except ReportError as error:
            raise BadUsageError(str(error)) from error
        except OSError as error:
            raise CouldNotRunError(
                f"--output: {path} cannot be written: {error.strerror}; the run is kept as {wanted.source.run.id}"
            ) from error


def too_large() -> Source:
    """There is no document of a mesh that is so large."""
    raise ReportError(
        f"--output: the document of a mesh of more than {LARGE_MESH} nodes is written by "
        "netmesh-controller runs export RUN FILE.jsonl.zst"
    )
