"""A comparison on the terminal: what else differs first, then the tables, then what can be told."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from netmesh_controller.mesh.comparison import Comparison, Effect, Fact, PairDifference
from netmesh_controller.mesh.comparison.words import (
    Overview,
    effect_in_words,
    overviews,
    place_in_words,
    summaries,
)
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.words import label, wrapped

_MOST_FACTS = 20
_MOST_PAIRS = 10
_MOST_ANSWERS = 4
# What can be told comes first; else in the order of the comparison.
_ORDER = {"worse": 0, "better": 1, "different": 2}


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Prints it; at most the `_MOST_PAIRS` farthest of the cells that differ."""
    _print(console, _facts(console, comparison))
    for remark in comparison.remarks:
        _print(console, (Text(line) for line in wrapped(remark, console.width)))
    for overview in overviews(comparison.sides):
        _show_table(console, comparison, overview)
    for place, sentence in enumerate(summaries(comparison), 1):
        console.print()
        _print(console, (Text(line, "bold") for line in wrapped(sentence, console.width)))
        _print(console, _groups(console, comparison, place))
        _print(console, _pairs(console, [pair for pair in comparison.pairs if pair.against == place]))


def _facts(console: Console, comparison: Comparison) -> Iterable[Text]:
    if not comparison.facts:
        yield Text("No fact of hosts, tools or cluster differs between the runs.")
        return
    yield Text("What else is not the same:", "bold")
    for fact in comparison.facts[:_MOST_FACTS]:
        for line in wrapped(f"{fact.name}: {_answers(fact, comparison)}", console.width, "  ", "    "):
            yield Text(line)
    if len(comparison.facts) > _MOST_FACTS:
        yield Text(f"  and {len(comparison.facts) - _MOST_FACTS} more: --format json has all", palette.QUIET)


def _answers(fact: Fact, comparison: Comparison) -> str:
    said = []
    for side, answers in zip(comparison.sides, fact.answers, strict=True):
        more = f" and {len(answers) - _MOST_ANSWERS} more" if len(answers) > _MOST_ANSWERS else ""
        said.append(f"{' / '.join(answers[:_MOST_ANSWERS]) or 'unknown'}{more} in {side.label}")
    return "; ".join(said)


def _show_table(console: Console, comparison: Comparison, overview: Overview) -> None:
    numbers = [number for row in overview.rows for number in row if number is not None]
    scaled = scale_for(overview.value, overview.unit, numbers, ascii_only=console.options.ascii_only)
    unit = f", {scaled.unit}" if scaled.unit else ""
    console.print()
    title = f"{overview.test} by {overview.instrument}, {label(overview.value)}{unit}, median over pairs"
    _print(console, (Text(line, "bold") for line in wrapped(title, console.width)))
    table = Table(box=None, padding=(0, 2, 0, 2), show_edge=False, header_style="default")
    table.add_column("", overflow="fold")
    for path in overview.paths:
        table.add_column(path, justify="right", overflow="fold")
    for side, row in zip(comparison.sides, overview.rows, strict=True):
        table.add_row(side.label, *("none" if number is None else scaled.text(number) for number in row))
    console.print(table, highlight=False)


def _groups(console: Console, comparison: Comparison, place: int) -> Iterable[Text]:
    against = [group for group in comparison.groups if group.against == place]
    for group in sorted(against, key=lambda group: _ORDER.get(group.verdict, len(_ORDER))):
        told = group.verdict != "not distinguishable"
        words = _effect(group.effect, group.unit)
        text = f"{group.verdict}: {place_in_words(group)}: {words}, {group.pairs} pairs"
        if group.why:
            text += f"; {group.why}"
        for line in wrapped(text, console.width, "  ", "    "):
            yield Text(line, _style(group.verdict) if told else palette.QUIET)


def _pairs(console: Console, pairs: list[PairDifference]) -> Iterable[Text]:
    if not pairs:
        return
    yield Text("  cells that differ for themselves", "bold")
    for pair in sorted(pairs, key=lambda one: one.p)[:_MOST_PAIRS]:
        what = f"{pair.series.path} {pair.series.test} {pair.value}"
        where = pair.source if pair.source == pair.target else f"{pair.source} -> {pair.target}"
        text = f"{pair.verdict}: {where}: {what}: {_effect(pair.effect, pair.unit)}"
        for line in wrapped(text, console.width, "  ", "    "):
            yield Text(line, _style(pair.verdict))
    if len(pairs) > _MOST_PAIRS:
        yield Text(f"  and {len(pairs) - _MOST_PAIRS} more: --format json has all", palette.QUIET)


def _effect(effect: Effect, unit: str) -> str:
    # A number and its unit stay on one line.
    return effect_in_words(effect, unit).replace(" %", "\N{NO-BREAK SPACE}%")


def _style(verdict: str) -> str:
    return {"worse": palette.VERY_BAD, "better": palette.GOOD}.get(verdict, "")


def _print(console: Console, lines: Iterable[Text]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
