"""The page of the HTML report: what is read first, then what is drawn, then the data and the scripts."""

from __future__ import annotations

from netmesh_controller.mesh.document import SCHEMA
from netmesh_controller.surfaces.reports.content import LARGE_MESH, Content
from netmesh_controller.surfaces.reports.page import sections
from netmesh_controller.surfaces.reports.page.assets import SCRIPTS, asset, inline, plotly, policy
from netmesh_controller.surfaces.reports.page.markup import Markup, element, joined
from netmesh_controller.surfaces.reports.page.payload import Payload

_LISTS = (("path", "path"), ("test", "test"), ("value", "value"), ("statistic", "statistic"), ("scale", "colours"))
_SCALES = (("robust", "robust: the middle 96 %"), ("fixed", "fixed: from 0, all paths alike"))


def page(content: Content) -> str:
    """The whole report as one file that loads nothing."""
    scripts = (plotly(), *(asset(name) for name in SCRIPTS))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy(scripts)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"netmesh: {content.run.name or content.run.id}"),
        element("style", Markup(asset("style.css"))),
    )
    body = element(
        "body",
        sections.heading(content),
        element(
            "main",
            sections.findings(content),
            _mesh(content),
            sections.beside_hosts(content),
            sections.cost(content),
            sections.hosts(content),
            sections.provenance(content),
        ),
        element("footer", f"netmesh {content.run.netmesh_version} · run {content.run.id} · {SCHEMA}"),
        joined(Payload(content).blocks()),
        joined(inline(script) for script in scripts),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _mesh(content: Content) -> Markup:
    title = element("h2", "Mesh", id="mesh")
    if not content.series:
        return element("section", title, element("p", "The run has no matrix: nothing was planned or measured."))
    lists = [
        element(
            "label",
            words,
            element("select", *(_options() if name == "scale" else []), id=name),
        )
        for name, words in _LISTS
    ]
    figure = element(
        "div",
        element(
            "div",
            element("div", id="heatmap", class_="heatmap", aria_labelledby="matrix-title"),
            element(
                "p",
                "Rows send to columns. Darker is worse; [brackets] are within one node; hatched is a gap with a "
                "reason, plain grey was not to be measured. Drag to zoom, double click to go back, click a pair to "
                "open it.",
                class_="muted",
            ),
        ),
        element("div", element("div", id="gaps"), element("div", id="worst", class_="scroll")),
        class_="figure",
    )
    return element(
        "section",
        title,
        _large() if len(content.nodes) > LARGE_MESH else Markup(),
        element("div", *lists, class_="controls"),
        element("h3", id="matrix-title"),
        element("p", id="spread"),
        figure,
        element(
            "details",
            element("summary", "The same as a table"),
            element("div", id="table", class_="scroll"),
            id="as-table",
        ),
        element("h3", "Distribution over pairs"),
        element("div", id="pairs"),
        element(
            "div",
            element("h3", "Distribution of all single observations between nodes"),
            element("div", id="observations"),
            id="observations-part",
            hidden=True,
        ),
        element(
            "dialog",
            element(
                "header",
                element("h3"),
                element("form", element("button", "Close"), method="dialog"),
            ),
            element("div", class_="content scroll"),
            id="pair",
        ),
        element(
            "noscript", element("p", "Heatmaps need scripts; the run document and --output FILE.csv hold all of it.")
        ),
        aria_labelledby="mesh",
    )


def _large() -> Markup:
    said = (
        f"Of a mesh of more than {LARGE_MESH} nodes this page holds each pair's mean and the code of the reason for a "
        "gap; repeats, distributions, other statistics and the reasons' sentences are in the run itself, which "
        "netmesh-controller runs export RUN FILE.jsonl.zst writes."
    )
    return element("p", said, class_="muted")


def _options() -> list[Markup]:
    return [element("option", words, value=name) for name, words in _SCALES]
