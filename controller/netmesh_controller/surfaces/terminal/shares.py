"""What each path makes of the hosts' own network: a row a path and test, beside host-to-host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

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
        said = "\n".join(filter(None, (words(share, ascii_only=console.options.ascii_only) for share in told(shares))))
        table.add_row(f"  {path}", f"{test}, {parameters_in_words(parameters)}", said or "no pair has both")
    console.print(table, highlight=False)
    console.print()


def told(shares: Sequence[Share]) -> list[Share]:
    """The shares of one path and test that are worth telling: each end's CPU once."""
    by_value = {share.value: share for share in shares}
    chosen = [share for share in shares if share.value not in COST_VALUES]
    for _, host, tool in _ENDS:
        known = [by_value[value] for value in (host, tool) if value in by_value and by_value[value].pairs]
        if not known and host in by_value and any(share.pairs for share in chosen):
            known = [
                replace(by_value[host], reason="too small to be told, or not this test's alone; nor is the tool's")
            ]
        chosen += known[:1]
    return chosen


def words(share: Share, *, ascii_only: bool = False) -> str | None:
    """The share for people; None where no pair has both figures."""
    what = label(share.value)
    if share.figure is None:
        return None if share.reason is None else f"{what}: {share.reason}{_error(share, ascii_only=ascii_only)}"
    if share.how == "ratio":
        return f"{what} {digits(share.figure * 100)} %{_range(share, lambda figure: digits(figure * 100))}"
    scale = scale_for(share.value, share.unit, [share.figure], ascii_only=ascii_only)

    def signed(figure: float) -> str:
        return f"{'+' if figure >= 0 else '-'}{scale.text(abs(figure))}"

    if share.error is not None:
        plus_minus = "+-" if ascii_only else "±"
        return f"{what} {signed(share.figure)} {plus_minus} {scale.full(share.error)}"
    sign = "+" if share.figure >= 0 else "-"
    return f"{what} {sign}{scale.full(abs(share.figure))}{_range(share, signed)}"


def _range(share: Share, text: Callable[[float], str]) -> str:
    """The figures of the pairs at both ends, where there are several."""
    if share.pairs < 2 or share.least is None or share.most is None:
        return ""
    return f" ({text(share.least)} to {text(share.most)})"


def _error(share: Share, *, ascii_only: bool) -> str:
    if share.error is None:
        return ""
    scale = scale_for(share.value, share.unit, [share.error], ascii_only=ascii_only)
    return f" ({'+-' if ascii_only else '±'} {scale.full(share.error)})"
