"""`--expect` and `--expect-file`, of whatever command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from netmesh_controller.mesh.expectations import evaluate, parse
from netmesh_controller.surfaces.cli.errors import BadUsageError
from netmesh_controller.surfaces.reports.formats import Wanted
from netmesh_controller.surfaces.terminal.expectations import show_expectations


def expected(given: Sequence[str] | None, file: Path | None) -> tuple[str, ...]:
    """The texts of both options, each looked at; in a file one a line, and what begins with # is a remark."""
    texts = list(given or ())
    if file is not None:
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise BadUsageError(f"--expect-file: {file} cannot be read: {why}") from error
        texts += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not texts:
            raise BadUsageError(f"--expect-file: {file} has no expectation")
    for text in texts:
        parse(text)
    return tuple(texts)


def show_expected(console: Console, wanted: Wanted) -> bool:
    """Prints what became of the expectations; whether all of them hold."""
    outcomes = evaluate(map(parse, wanted.choice.expectations), wanted.source.tables, wanted.source.cells)
    show_expectations(console, outcomes)
    return all(outcome.holds for outcome in outcomes)
