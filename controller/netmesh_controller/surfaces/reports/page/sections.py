"""The parts of the HTML report that are read, not drawn: they stand there without any script."""

from __future__ import annotations

import json

from netmesh_common.units import format_duration
from netmesh_controller.mesh.catalogue import COST_VALUES
from netmesh_controller.mesh.differences import differences
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.places import LEAST_NODES
from netmesh_controller.mesh.paths import BASELINE_PATH
from netmesh_controller.surfaces.reports.content import Content, SeriesContent
from netmesh_controller.surfaces.reports.figures import in_words, middle, shares_in_words
from netmesh_controller.surfaces.reports.page.markup import Markup, element, facts, joined, table
from netmesh_controller.surfaces.terminal.closing import wall_seconds
from netmesh_controller.surfaces.terminal.findings import without_twins
from netmesh_controller.surfaces.terminal.words import count, parameters_in_words

_NAMES = 12
_FINDINGS = 50
_GOOD = {"complete": "good"}


def heading(content: Content) -> Markup:
    """The run in a few words."""
    run = content.run
    total, measured = sum(content.outcomes.values()), content.outcomes.get("measured", 0)
    gaps = total - measured
    took = wall_seconds(run)
    said = [
        count(len(content.nodes), "node"),
        f"{measured} of {count(total, 'cell')} measured",
        count(gaps, "gap") if gaps else "no gaps",
        f"started {run.started_at[:16].replace('T', ' ')} UTC",
        *([f"took {format_duration(took)}"] if took is not None else []),
    ]
    return element(
        "header",
        element("h1", run.name or run.id),
        element("span", run.state, class_=f"badge {_GOOD.get(run.state, 'bad')}"),
        element("span", " · ".join(said), class_="about muted"),
        element("button", "Dark or light", type="button", id="theme", hidden=True),
        class_="page",
    )


def findings(content: Content) -> Markup:
    """What an engineer should know, first."""
    found = without_twins(content.findings)
    items = [
        element(
            "li",
            element("span", finding.kind.replace("_", " "), class_="kind"),
            finding.sentence,
            *([] if finding.confidence is None else [element("span", _confidence(finding.confidence), class_="muted")]),
            *([_evidence(finding)] if finding.evidence else []),
        )
        for finding in found[:_FINDINGS]
    ]
    if not items:
        small = len(content.nodes) < LEAST_NODES
        more = f" Slow nodes and pairs are told apart from {LEAST_NODES} nodes on." if small else ""
        return _section("findings", "Findings", element("p", f"None.{more}"))
    body = element("ul", *items, class_="findings")
    rest = len(found) - len(items)
    further = [element("p", f"And {count(rest, 'further finding')}, in the run document.")] if rest else []
    return _section("findings", "Findings", body, *further)


def _confidence(confidence: float) -> str:
    # As near to certainty as it is, it is none.
    return f" (confidence {'over 99.9' if confidence >= 0.999 else f'{confidence * 100:.1f}'} %)"


def _evidence(finding: Finding) -> Markup:
    said = json.dumps(finding.evidence, indent=1, ensure_ascii=False)
    return element("details", element("summary", "evidence"), element("pre", said))


def beside_hosts(content: Content) -> Markup:
    """What each path makes of the hosts' own network; nothing where that was not measured."""
    rows = shares_in_words(content.shares)
    if not rows:
        return Markup()
    note = (
        "Medians over the pairs of nodes that have both figures. A path's bandwidth is a share of the hosts'; its "
        "latency and cost are what it adds."
    )
    return _section(
        "hosts", f"Paths beside {BASELINE_PATH}", element("p", note), table(["path", "test", "beside the hosts"], rows)
    )


def cost(content: Content) -> Markup:
    """What the traffic costs in CPU, by path and test; a sentence where no cell tells, nothing where no test could."""
    asked = [
        (one, [middle(one.tables[value]["mean"]) for value in COST_VALUES])
        for one in content.series
        if set(COST_VALUES) <= one.tables.keys()
    ]
    if not asked:
        return Markup()
    rows = [
        [one.series.path, _test(one), *map(in_words, figures)]
        for one, figures in asked
        if any(each.figure is not None for each in figures)
    ]
    if not rows:
        codes = dict.fromkeys(each.reason for _, figures in asked for each in figures if each.reason)
        said = f"No cell tells what its traffic costs in CPU ({', '.join(codes)})."
        return _section("cost", "Cost", element("p", said))
    head = ["path", "test", "sender, whole host", "receiver, whole host", "sender, tool", "receiver, tool"]
    note = (
        "CPU seconds a gigabyte (10⁹ bytes) received, medians over pairs of nodes. The whole host is counted above its "
        "idle load, softirq included; the tool is its own processes."
    )
    return _section("cost", "Cost", element("p", note), table(head, rows))


def hosts(content: Content) -> Markup:
    """Facts that are not the same on all nodes, and the nodes."""
    different = differences(content.nodes)
    rows = []
    for one in different:
        answers = [
            joined([element("strong", answer), f": {_some(names)}", element("br")]) for answer, names in one.answers
        ]
        rows.append([one.fact if one.role is None else f"{one.fact} ({one.role})", joined(answers)])
    body = table(["fact", "answers"], rows) if rows else element("p", "All nodes say the same of themselves.")
    nodes = table(
        ["node", "zone", "agents", "labels"],
        (
            [
                node.name,
                node.zone or "",
                ", ".join(f"{agent.role} {agent.address}" for agent in node.agents),
                ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items())),
            ]
            for node in content.nodes
        ),
    )
    listed = element("details", element("summary", count(len(content.nodes), "node")), nodes)
    return _section("facts", "Host facts that differ", body, listed)


def provenance(content: Content) -> Markup:
    """How the numbers came about: versions, plan, one command of each kind."""
    run = content.run
    remarks = run.facts.get("remarks") or []
    said = [
        ("run", run.id),
        ("name", run.name or "none"),
        ("started", run.started_at),
        ("finished", run.finished_at or "not finished"),
        ("netmesh", run.netmesh_version),
        *(("remark", str(remark)) for remark in remarks),
    ]
    rows = [
        [
            one.series.path,
            _test(one),
            ", ".join(one.versions) or "unknown",
            joined(element("div", element("code", command)) for command in one.commands if command is not None)
            or "none was measured",
        ]
        for one in content.series
    ]
    documents = [
        element("details", element("summary", title), element("pre", json.dumps(what, indent=1, ensure_ascii=False)))
        for title, what in (
            ("plan as asked for", run.plan.asked),
            ("plan as resolved", run.plan.resolved),
            ("facts of the run", run.facts),
        )
    ]
    return _section(
        "provenance",
        "Provenance",
        facts(said),
        table(
            ["path", "test", "tool version", "commands of one cell: client, then server"],
            rows,
        ),
        *documents,
    )


def _test(one: SeriesContent) -> str:
    return f"{one.series.test}, {parameters_in_words(one.series.parameters)}"


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


def _section(name: str, title: str, *content: Markup) -> Markup:
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)
