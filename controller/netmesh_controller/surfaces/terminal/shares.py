"""What each path makes of the hosts' own network: a row a path and test, beside host-to-host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from netmesh_controller.mesh.catalogue import COST_VALUES
from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.paths import BASELINE_PATH
from netmesh_controller.mesh.share import Share
from netmesh_controller.surfaces.terminal.units import digits, scale_for
from netmesh_controller.surfaces.terminal.words import label, parameters_in_words

# Each end's CPU is told once: the whole host's where it is known, else the tool's own.
_ENDS = tuple(
    (end, f"{end}_cpu_seconds_per_gigabyte", f"{end}_tool_cpu_seconds_per_gigabyte") for end in ("source", "target")
)


def show_shares(console: Console, found: Iterable[Share]) -> None:
    """Prints the shares of all paths; nothing where the hosts' own network was not measured."""
    rows: dict[tuple[str, str, Parameters], list[Share]] = {}
    for share in found:
        rows.setdefault((share.path, share.test, share.parameters), []).append(share)
    if not rows:
        return
    console.print(Text(f"paths beside {BASELINE_PATH}, medians over pairs", "bold"), soft_wrap=True, highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True)
    for (path, test, parameters), shares in rows.items():
        said = ", ".join(filter(None, (_words(share, console) for share in _told(shares))))
        table.add_row(f"  {path}", f"{test}, {parameters_in_words(parameters)}", said or "no pair has both")
    console.print(table, highlight=False)
    console.print()


def _told(shares: Sequence[Share]) -> list[Share]:
    by_value = {share.value: share for share in shares}
    told = [share for share in shares if share.value not in COST_VALUES]
    for _, host, tool in _ENDS:
        known = [by_value[value] for value in (host, tool) if value in by_value and by_value[value].pairs]
        told += known[:1]
    return told


def _words(share: Share, console: Console) -> str | None:
    what = label(share.value)
    if share.figure is None:
        return None if share.reason is None else f"{what}: {share.reason}{_error(share, console)}"
    if share.how == "ratio":
        return f"{what} {digits(share.figure * 100)} %"
    scale = scale_for(share.value, share.unit, [share.figure], ascii_only=console.options.ascii_only)
    sign = "+" if share.figure >= 0 else "-"
    if share.error is not None:
        plus_minus = "+-" if console.options.ascii_only else "±"
        return f"{what} {sign}{scale.text(abs(share.figure))} {plus_minus} {scale.full(share.error)}"
    return f"{what} {sign}{scale.full(abs(share.figure))}"


def _error(share: Share, console: Console) -> str:
    if share.error is None:
        return ""
    scale = scale_for(share.value, share.unit, [share.error], ascii_only=console.options.ascii_only)
    return f" ({'+-' if console.options.ascii_only else '±'} {scale.full(share.error)})"
