"""A sweep while it runs: drawn in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from netmesh_common.units import format_duration, format_rate
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.progress import Progress, Running
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.words import wrapped

PLAIN_EVERY_SECONDS = 10.0
ASKED_EVERY_SECONDS = 1.0
DRAWN_EVERY_SECONDS = 0.25
FAILURES_SHOWN = 20
_ROWS = 12


class ProgressDisplay:
    """Shows what `update` and `failed` are told, between entering and leaving; leaves the terminal as it was.

    On a terminal the picture is drawn in place and gone at the end. Elsewhere `update` prints a line every ten
    seconds of the sweep's own time. Failed cells are printed one a line, the first twenty of them.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_interactive else None
        self._next_line = PLAIN_EVERY_SECONDS
        self._failures = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def every_seconds(self) -> float:
        """How often it wants to be told: what is drawn moves, a line comes every ten seconds."""
        return DRAWN_EVERY_SECONDS if self._live is not None else ASKED_EVERY_SECONDS

    def update(self, progress: Progress) -> None:
        """Shows how far the sweep is."""
        if self._live is not None:
            self._live.update(picture(progress, self._console.width, self._console.height), refresh=True)
        elif progress.elapsed_seconds >= self._next_line:
            self._next_line = progress.elapsed_seconds + PLAIN_EVERY_SECONDS
            self._console.print(Text(line_of(progress)), soft_wrap=True, highlight=False)

    def failed(self, cell: Cell) -> None:
        """Names a cell that ended without a value."""
        self._failures += 1
        if cell.reason is None or self._failures > FAILURES_SHOWN + 1:
            return
        said = f"{cell.test} {cell.path} {cell.source} -> {cell.target}: {cell.reason.code}, {cell.reason.message}"
        if self._failures > FAILURES_SHOWN:
            said = "Further gaps are counted and shown at the end."
        width = self._console.width if self._live is not None else len(said) + 20
        for line in wrapped(said, width, "gap  "):
            self._console.print(Text(line, palette.VERY_BAD), soft_wrap=True, highlight=False)


def line_of(progress: Progress) -> str:
    """The sweep in one line: cells done, gaps, time left."""
    words = [f"{progress.done} of {progress.total} cells"]
    if progress.failed:
        words.append(f"{progress.failed} failed")
    words.append(f"{len(progress.running)} running")
    words.append(f"{format_duration(round(progress.elapsed_seconds))} gone")
    words.append(_left(progress))
    return ", ".join(words)


def _left(progress: Progress) -> str:
    if progress.left_seconds is None:
        return "time left unknown"
    return f"about {format_duration(round(progress.left_seconds))} left"


def picture(progress: Progress, width: int, height: int) -> RenderableType:
    """The sweep drawn for a terminal of that size: a bar, and the measurements that run now."""
    head = Table.grid(padding=(0, 1), expand=False)
    bar = ProgressBar(
        total=max(progress.total, 1),
        completed=progress.done,
        width=max(10, min(30, width - 60)),
        complete_style=palette.GOOD,
        finished_style=palette.GOOD,
    )
    counts = Text(f"{progress.done}/{progress.total} cells")
    if progress.failed:
        counts.append(f"  {progress.failed} failed", palette.VERY_BAD)
    counts.append(f"  {format_duration(round(progress.elapsed_seconds))} gone, {_left(progress)}")
    head.add_row(bar, counts)
    room = max(1, min(_ROWS, height - 4))
    shown = progress.running if len(progress.running) <= room else progress.running[: room - 1]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(20, width - 46))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    for running in shown:
        table.add_row(*_row(running))
    rest = len(progress.running) - len(shown)
    parts: list[RenderableType] = [head, table]
    if rest:
        parts.append(Text(f"and {rest} more", palette.QUIET))
    return Group(*parts)


def _row(running: Running) -> tuple[Text, Text, Text, Text]:
    pair = running.source if running.source == running.target else f"{running.source} -> {running.target}"
    where = f"{pair} (same node)" if running.source == running.target else pair
    rate = "" if running.bits_per_second is None else format_rate(running.bits_per_second)
    elapsed = f"{running.elapsed_seconds:.0f} of {running.expected_seconds:.0f} s"
    return Text("  " + where), Text(running.test), Text(elapsed), Text(rate)
