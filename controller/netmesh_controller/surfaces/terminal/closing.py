"""The last lines of a sweep: how it ended, and where its results are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from netmesh_common.units import format_duration
from netmesh_controller.mesh.document import SECONDS, Cell, Run
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.words import count, wrapped


def show_closing(
    console: Console,
    run: Run,
    cells: Sequence[Cell],
    planned: int | None = None,
    output: str | None = None,
    *,
    outcomes: Mapping[str, int] | None = None,
    stored: bool = True,
) -> None:
    """Prints the run's state, measured cells and gaps, wall time, and how to find the run again.

    `planned` is the number of cells of the plan, where some may be missing; `output` the file that was written.
    `outcomes` counts the cells where there are none of them here; a run that is not `stored` is not found again.
    """
    counts = Counter(cell.outcome for cell in cells) if outcomes is None else outcomes
    measured = counts.get("measured", 0)
    total = max(planned or 0, sum(counts.values()))
    gaps = total - measured
    words = [f"{measured} of {count(total, 'cell')} measured", count(gaps, "gap") if gaps else "no gaps"]
    took = wall_seconds(run)
    if took is not None:
        words.append(format_duration(took))
    line = Text(run.state, f"bold {palette.GOOD if run.state == 'complete' else palette.VERY_BAD}")
    line.append(f": {', '.join(words)}", "not bold default")
    console.print(line, soft_wrap=True, highlight=False)
    for text in _marked(cells, console.width):
        console.print(Text(text, palette.QUIET), soft_wrap=True, highlight=False)
    if not stored:
        return
    name = f" ({run.name})" if run.name else ""
    where = f" and written to {output}." if output else "; --output FILE writes it to a file."
    lines = wrapped(f"Run {run.id}{name} is stored{where}", console.width)
    if gaps:
        # A line of its own, unbroken, so that it can be copied.
        lines.append(f"To measure what is missing: netmesh-controller sweep --resume {run.id}")
    for text in lines:
        console.print(Text(text), soft_wrap=True, highlight=False)


def _marked(cells: Iterable[Cell], width: int) -> list[str]:
    """How many measured cells have a mark of their witness, and the signs by how often they were seen."""
    marked = [cell.witness for cell in cells if cell.outcome == "measured" and cell.witness is not None]
    signs = Counter(sign for seen in marked for sign in seen.signs)
    if not signs:
        return []
    number = sum(1 for seen in marked if seen.signs)
    told = ", ".join(f"{sign.replace('_', ' ')} {times}" for sign, times in signs.most_common())
    return wrapped(f"Signs of a busy host while they were measured, in {count(number, 'cell')}: {told}.", width)


def wall_seconds(run: Run) -> float | None:
    """How long the run took, None while it runs, and where the clock was set back meanwhile.

    Of a run that was resumed it is the time from its beginning to its end, pauses included, by the wall clock.
    """
    if run.finished_at is None:
        return None
    told = run.facts.get(SECONDS)
    if isinstance(told, int | float) and told >= 0:
        return float(told)
    started, finished = (datetime.fromisoformat(moment) for moment in (run.started_at, run.finished_at))
    seconds = (finished - started).total_seconds()
    return seconds if seconds >= 0 else None
