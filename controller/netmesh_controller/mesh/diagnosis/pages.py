"""The documentation's page of each verdict, made of its rule, so that the two say the same."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.rule import HEALTHY_ADVICE, INSUFFICIENT_ADVICE, Rule, all_rules
from netmesh_controller.mesh.diagnosis.steps import STEPS

_MADE = "<!-- Made by scripts/verdicts of the rule in controller/netmesh_controller/mesh/diagnosis/rules. -->"
# The two that no rule states: what holds where none does.
_HEALTHY_SEEN = (
    "Probes, new connections, the path's MTU and one TCP stream were measured, all of them gave values, and no rule of "
    "another verdict holds. A quick diagnosis fills the path for a second each way: a queue that takes longer to fill, "
    "and what only host-to-host tests show, is seen by the whole one."
)
_INSUFFICIENT_SEEN = (
    "Probes, new connections, the path's MTU or one TCP stream gave nothing, and no rule says why. Nothing is guessed; "
    "the exit code is 3."
)
_WITHOUT_RULE = {
    "healthy": ("Nothing is wrong between the two nodes now.", _HEALTHY_SEEN, HEALTHY_ADVICE),
    "insufficient_evidence": ("It cannot be said.", _INSUFFICIENT_SEEN, INSUFFICIENT_ADVICE),
}


def pages() -> dict[str, str]:
    """The page of each verdict by its code, as Markdown."""
    made: dict[str, str] = {rule.code: "\n".join(_page(rule)) for rule in all_rules()}
    for code, (means, seen, advice) in _WITHOUT_RULE.items():
        made[code] = "\n".join(
            [*_head(code, means), "## How it was seen", "", seen, "", "## What to do", "", advice, ""]
        )
    return made


def page_of(code: str) -> str:
    """Where the page of a verdict stands in the repository."""
    return f"docs/verdicts/{code}.md"


def _head(code: str, means: str) -> list[str]:
    return [_MADE, "", f"# {code.replace('_', ' ').capitalize()}", "", f"`{code}`: {means}", ""]


def _page(rule: Rule) -> Iterator[str]:
    yield from _head(rule.code, _text(sys.modules[rule.judge.__module__]))
    yield from ("## How it was seen", "", _text(rule.judge), "")
    titles = {step.name: step.title for step in STEPS}
    needed = "; ".join(f"`{name}` ({titles[name]})" for name in rule.needs) or "none beyond what was measured anyway"
    yield from (f"Steps that it needs: {needed}.", "", "## What to do", "", rule.advice, "")
    if rule.look:
        yield "What shows more, on the node or in its pod:"
        yield from ("", *(f"    {one}" for one in rule.look), "")
    if rule.explains:
        others = ", ".join(f"[`{one}`]({one}.md)" for one in sorted(rule.explains))
        yield from (
            "## What it explains",
            "",
            f"Where it holds, these follow from it and stand after it: {others}.",
            "",
        )


def _text(of: object) -> str:
    """A docstring in one line a paragraph."""
    paragraphs = (inspect.getdoc(of) or "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)
