"""A diagnosis as one HTML file that opens offline and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from netmesh_controller.mesh.diagnosis.document import Diagnosis, Verdict
from netmesh_controller.mesh.diagnosis.pages import page_of
from netmesh_controller.surfaces.terminal.diagnosis import amount, figure, spent

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem; }
th { text-align: left; font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; vertical-align: top; } td:first-child { white-space: nowrap; }
.verdict { border-left: .3rem solid var(--bad); padding-left: 1rem; margin: 1.2rem 0; }
.verdict.healthy { border-color: var(--good); } .code { font-weight: 700; } small { opacity: .75; }
"""


def page(found: Diagnosis) -> str:
    """The whole file."""
    title = f"Why is {found.source} to {found.target} slow?"
    first, *others = found.verdicts
    parts = [_verdict(first)]
    if others:
        parts += ["<h2>What else holds</h2>", *(_verdict(one) for one in others)]
    if found.unseen:
        parts += ["<h2>What was not seen</h2>", "<ul>", *(f"<li>{escape(one)}</li>" for one in found.unseen), "</ul>"]
    steps = [
        (step.name, step.title, f"{step.seconds:.1f} s", str(step.cells), step.reason or _asked(step.asked))
        for step in found.steps
    ]
    parts += ["<h2>Protocol</h2>", _table(("step", "what", "took", "cells", "asked"), steps, numbers=(2, 3))]
    if found.hosts:
        rows = [(one.node, one.where, one.name, one.value) for one in found.hosts]
        parts += ["<h2>Hosts</h2>", _table(("node", "network of", "what", "value"), rows)]
    stated = "" if found.most is None else f" Stated before: {amount(found.most)}."
    parts.append(f"<p><small>{escape(spent(found))}.{escape(stated)} Schema {escape(found.schema_)}.</small></p>")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _verdict(one: Verdict) -> str:
    words = one.code.replace("_", " ")
    facts = [
        (fact.what, figure(fact.measured, fact.unit), figure(fact.expected, fact.unit), fact.source)
        for fact in one.evidence
    ]
    kind = "verdict healthy" if one.code == "healthy" else "verdict"
    return (
        f'<section class="{kind}"><p><span class="code">{escape(words)}</span> ({one.confidence:.0%}): '
        f"{escape(one.sentence)}</p>"
        + (_table(("", "measured", "expected", "from"), facts, numbers=(1, 2)) if facts else "")
        + (f"<p><strong>What to do:</strong> {escape(one.advice)}</p>" if one.advice else "")
        + f"<p><small>More: {escape(page_of(one.code))}</small></p></section>"
    )


def _asked(asked: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in asked.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    lines = ["<table><thead><tr>", *(f"<th>{escape(one)}</th>" for one in head), "</tr></thead><tbody>"]
    for row in rows:
        cells = (
            f'<td class="n">{escape(one)}</td>' if place in numbers else f"<td>{escape(one)}</td>"
            for place, one in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*lines, "</tbody></table>"])
