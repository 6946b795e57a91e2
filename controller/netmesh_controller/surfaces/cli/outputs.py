"""`--output FILE`, of whatever command: checked before anything is done, written at its end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError
from netmesh_controller.surfaces.reports.formats import ReportError, Wanted, format_for, write_report


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
