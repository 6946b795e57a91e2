"""A diagnosis for people: the verdict first, then its evidence, then on demand the whole protocol."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from netmesh_common.units import scale
from netmesh_controller.mesh.diagnosis.document import Cost, Diagnosis, Fact, HostFact, StepRecord, Verdict
from netmesh_controller.mesh.diagnosis.pages import page_of
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.units import digits
from netmesh_controller.surfaces.terminal.words import wrapped


def show_diagnosis(console: Console, found: Diagnosis, *, protocol: bool = False) -> None:
    """Prints the verdicts, the first with all of its evidence; `protocol` adds every step."""
    first, *others = found.verdicts
    _verdict(console, first)
    if first.evidence:
        console.print(_facts(first.evidence), highlight=False)
    if first.advice:
        _lines(console, first.advice, "What to do: ", "            ")
        console.print(f"More: {page_of(first.code)}", highlight=False)
    if others:
        console.print(Text("also", "bold"), highlight=False)
        for one in others:
            _verdict(console, one, indent="  ")
    for sentence in found.unseen:
        _lines(console, sentence + ".", "Not seen: ", "          ")
    if protocol:
        console.print(Text("protocol", "bold"), highlight=False)
        console.print(_steps(found.steps), highlight=False)
        if found.hosts:
            console.print(Text("hosts", "bold"), highlight=False)
            console.print(_hosts(found.hosts), highlight=False)
    console.print(spent(found), highlight=False, soft_wrap=True)


def spent(found: Diagnosis) -> str:
    """What it took."""
    factor, unit = scale([found.traffic_bytes], "B")
    traffic = f"{digits(found.traffic_bytes * factor)} {unit}"
    return f"{len(found.steps)} steps, {found.duration_seconds:.1f} s, at most {traffic} of traffic; run {found.run}"


def amount(most: Cost) -> str:
    """What a diagnosis may come to."""
    traffic = "traffic as the links allow"
    if most.traffic_bytes is not None:
        factor, unit = scale([most.traffic_bytes], "B")
        traffic = f"{digits(most.traffic_bytes * factor)} {unit} of traffic"
    return f"at most {most.seconds:.0f} s of tests and {traffic}"


def stated(most: Cost) -> str:
    """The same as a sentence, before it begins."""
    text = amount(most)
    return f"{text[0].upper()}{text[1:]}; it ends as soon as the case is clear."


def _verdict(console: Console, verdict: Verdict, indent: str = "") -> None:
    style = palette.GOOD if verdict.code == "healthy" else palette.VERY_BAD
    words = verdict.code.replace("_", " ")
    head = f"{indent}{words} ({verdict.confidence:.0%}): "
    for number, line in enumerate(wrapped(verdict.sentence, console.width, head, indent + "  ")):
        shown = Text(line)
        if number == 0:
            shown.stylize(f"bold {style}", len(indent), len(indent) + len(words))
        console.print(shown, highlight=False, soft_wrap=True)


def _lines(console: Console, sentence: str, head: str, following: str) -> None:
    for line in wrapped(sentence, console.width, head, following):
        console.print(Text(line), highlight=False, soft_wrap=True)


def _facts(facts: list[Fact]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    for name, justify in (("", "left"), ("measured", "right"), ("expected", "right"), ("from", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # literals
    for fact in facts:
        table.add_row(fact.what, figure(fact.measured, fact.unit), figure(fact.expected, fact.unit), fact.source)
    return table


def figure(number: float | None, unit: str) -> str:
    """A figure in a unit that people read; empty where it is not known."""
    if number is None:
        return ""
    if unit == "1":
        return f"{digits(number * 100)} %" if 0 <= number <= 1 else digits(number)
    if unit == "bytes":
        return f"{number:.0f} B"
    factor, label = scale([abs(number)] if number else [], unit)
    return f"{digits(number * factor)} {label}"


def _hosts(facts: list[HostFact]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for fact in facts:
        table.add_row(fact.node, fact.where, fact.name, fact.value)
    return table


def _steps(steps: list[StepRecord]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for step in steps:
        asked = ", ".join(f"{key} {value}" for key, value in step.asked.items())
        table.add_row(step.name, f"{step.seconds:.1f} s", f"{step.cells} cells", step.reason or asked)
    return table
