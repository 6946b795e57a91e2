"""The pages' own files: they hold no data and need no token; what they show they ask the API for, with the token."""

from __future__ import annotations

from aiohttp import web

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER, REASONS, UNITS
from netmesh_controller.surfaces.reports.page.assets import asset, plotly
from netmesh_controller.surfaces.terminal.words import in_general, label
from netmesh_controller.surfaces.web.answers import bytes_answer, json_answer
from netmesh_controller.surfaces.web.operations import JSON, Answer, Answered, Operation
from netmesh_controller.surfaces.web.problems import Problem

HTML, SCRIPT, STYLE = "text/html", "text/javascript", "text/css"
_SCRIPTS = (
    *("units.js", "theme.js", "matrix.js", "palette.js", "axes.js", "tip.js", "heatmap.js", "distribution.js"),
    *("table.js", "told.js", "api.js", "dom.js", "lists.js", "run.js", "checks.js", "mesh.js", "history.js"),
    *("pairpage.js", "events.js", "compare.js", "sweep.js", "diagnosis.js", "live.js"),
)
PLOTLY = "plotly.min.js"
# Nothing is loaded from anywhere else. Plotly writes styles into elements, and makes pictures by data: and blob:.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


class Word(Answered):
    """What people call a value, and whether more of it is better."""

    label: str
    more: bool


class Words(Answered):
    """Names of values, and what reasons mean."""

    values: dict[str, Word]
    reasons: dict[str, str]


async def page(request: web.Request) -> web.StreamResponse:
    """The one page; which part of it is shown stands behind the # of its address."""
    return bytes_answer(request, asset("index.html").encode(), HTML, headers=_HEADERS)


async def file(request: web.Request) -> web.StreamResponse:
    """A script or the style of the page."""
    name = request.match_info["file"]
    if name == PLOTLY:
        return bytes_answer(request, plotly().encode(), SCRIPT)
    if name == "style.css":
        return bytes_answer(request, asset(name).encode(), STYLE)
    if name not in _SCRIPTS:
        raise Problem(404, "no_file", f"the pages have no file '{name}'")
    return bytes_answer(request, asset(name).encode(), SCRIPT)


async def words(request: web.Request) -> web.StreamResponse:
    """The words of the pages."""
    values = {name: Word(label=label(name), more=name in MORE_IS_BETTER) for name in UNITS}
    return json_answer(request, Words(values=values, reasons={code: in_general(code) for code in sorted(REASONS)}))


OPERATIONS = (
    Operation(
        "GET",
        "/",
        "getPage",
        "The page",
        page,
        (Answer(200, "The page.", {HTML: None}),),
        access="open",
        tag="pages",
    ),
    Operation(
        "GET",
        "/pages/words",
        "getWords",
        "The words of the pages",
        words,
        (Answer(200, "The words.", {JSON: Words}),),
        access="open",
        tag="pages",
    ),
    Operation(
        "GET",
        "/pages/{file}",
        "getPageFile",
        "A script or the style of the page",
        file,
        (Answer(200, "The file.", {SCRIPT: None, STYLE: None}),),
        access="open",
        tag="pages",
        parameters={"file": "The file's name"},
        problems=(404,),
    ),
)
