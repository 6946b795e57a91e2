"""JUnit XML of the expectations: one test case an expectation, as CI systems read it.

The elements and attributes are those that the schema of Jenkins' xUnit plug-in has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from netmesh_controller.mesh.expectations import Outcome, evaluate, parse
from netmesh_controller.surfaces.reports.formats import Format, ReportError, Wanted
from netmesh_controller.surfaces.terminal.expectations import miss_in_words, outcome_in_words

_MOST_MISSES = 200
# What XML 1.0 has no way to write (its production 2).
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(wanted: Wanted, _ending: str) -> Iterator[bytes]:
    """The file, at once; ReportError where nothing is expected."""
    if not wanted.choice.expectations:
        raise ReportError(".xml is a report on expectations: give --expect or --expect-file")
    outcomes = evaluate(map(parse, wanted.choice.expectations), wanted.source.tables, wanted.source.cells)
    run = wanted.source.run
    failures = str(sum(not outcome.holds for outcome in outcomes))
    counts = {"tests": str(len(outcomes)), "failures": failures, "errors": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        root, "testsuite", {"name": _clean(f"netmesh {run.name or run.id}"), **counts, "skipped": "0"}
    )
    suite.set("timestamp", run.started_at.partition(".")[0].removesuffix("Z"))
    properties = ET.SubElement(suite, "properties")
    for name, text in (("run", run.id), ("state", run.state), ("netmesh", run.netmesh_version)):
        ET.SubElement(properties, "property", {"name": name, "value": _clean(text)})
    for outcome in outcomes:
        _case(suite, outcome)
    ET.indent(root)
    yield ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(suite: ET.Element, outcome: Outcome) -> None:
    expectation = outcome.expectation
    where = expectation.path or "all paths"
    names = {"classname": f"netmesh.{expectation.test}.{where}", "name": expectation.text}
    case = ET.SubElement(suite, "testcase", {key: _clean(text) for key, text in names.items()})
    if outcome.holds:
        return
    kind = "gap" if outcome.gaps or not outcome.planned else "expectation"
    failure = ET.SubElement(case, "failure", {"type": kind, "message": _clean(outcome_in_words(outcome))})
    lines = [miss_in_words(miss, expectation) for miss in outcome.misses[:_MOST_MISSES]]
    if len(outcome.misses) > _MOST_MISSES:
        lines.append(f"and {len(outcome.misses) - _MOST_MISSES} more")
    failure.text = _clean("\n".join(lines))


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


FORMAT = Format((".xml",), render)
