"""What a sweep will do and cost, before it starts."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from netmesh_common.units import format_bytes, format_duration
from netmesh_controller.mesh.document import Cell, Reason
from netmesh_controller.mesh.estimate import Estimate
from netmesh_controller.mesh.plan import Plan
from netmesh_controller.surfaces.terminal.words import count, wrapped

_HEAD = 10
_NAMES_SHOWN = 6


def show_estimate(console: Console, plan: Plan, cost: Estimate | None = None) -> None:
    """Prints nodes, tests, numbers, time, traffic, and the gaps that are known beforehand, with a reason each.

    `cost` is the plan's own estimate where it is not given.
    """
    estimate = plan.estimate if cost is None else cost
    ask = plan.ask
    each = f"{format_duration(ask.duration)} each"
    if ask.omit and any("iperf3" in ask.instruments(test) for test in ask.tests):
        each += f" (iperf3 after {format_duration(ask.omit)} of warm-up)"
    cells = "" if estimate.cells == estimate.measurements else f" of {count(estimate.cells, 'cell')}"
    work = f"{count(estimate.measurements, 'measurement')}{cells}, {each}, pairs {ask.pairs}"
    if ask.repeat > 1:
        work += f", {ask.repeat} repeats"
    if ask.max_concurrent is not None:
        work += f", at most {ask.max_concurrent} at once"
    time = (
        f"about {format_duration(estimate.expected_seconds)}, at least {format_duration(estimate.lower_bound_seconds)}"
    )
    if not estimate.measurements:
        time = "nothing to measure"
    rows = [("nodes", _nodes(plan)), ("tests", _tests(plan)), ("plan", work), ("time", time)]
    if estimate.measurements:
        rows.append(("traffic", _traffic(estimate)))
    if plan.gaps:
        known = f"{count(len(plan.gaps), 'cell')} cannot be measured, known before the start:"
        rows += [("gaps", known), *(("", line) for line in _gaps(plan.gaps))]
    for head, text in rows:
        for number, line in enumerate(wrapped(text, console.width, head.ljust(_HEAD))):
            shown = Text(line)
            if number == 0:
                shown.stylize("bold", 0, len(head))
            console.print(shown, soft_wrap=True, highlight=False)
    console.print()


def _nodes(plan: Plan) -> str:
    names = [node.name for node in plan.nodes]
    if len(names) > _NAMES_SHOWN:
        names = [*names[: _NAMES_SHOWN - 2], "...", names[-1]]
    zones = {node.zone for node in plan.nodes if node.zone}
    where = f" in {count(len(zones), 'zone')}" if zones else ""
    return f"{len(plan.nodes)}{where}: {', '.join(names)}"


def _tests(plan: Plan) -> str:
    ask = plan.ask
    tests = [f"{test} by {' and '.join(ask.instruments(test))}" for test in ask.tests]
    return f"{', '.join(tests)}; {', '.join(ask.paths)}"


def _traffic(estimate: Estimate) -> str:
    if estimate.traffic_bytes is None:
        return f"unknown: {estimate.traffic_note}"
    return f"{format_bytes(estimate.traffic_bytes)}, {estimate.traffic_note}"


def _gaps(gaps: tuple[Cell, ...]) -> list[str]:
    """One line a reason and sentence, the commonest first."""
    reasons: Counter[Reason] = Counter(gap.reason for gap in gaps if gap.reason is not None)
    shown = [f"{reason.code} ({number}): {reason.message}" for reason, number in reasons.most_common(10)]
    if len(reasons) > len(shown):
        shown.append(f"and {count(len(reasons) - len(shown), 'further reason')}")
    return shown
