"""Scripts and style of the pages, which the HTML report carries inside; plotly's script comes from its wheel."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from netmesh_controller.surfaces.reports.page.markup import Markup, element

# In the order in which they need each other.
SCRIPTS: tuple[str, ...] = (
    "units.js",
    "arrays.js",
    "theme.js",
    "matrix.js",
    "palette.js",
    "axes.js",
    "tip.js",
    "heatmap.js",
    "distribution.js",
    "table.js",
    "told.js",
    "pair.js",
    "report.js",
)


@cache
def asset(name: str) -> str:
    """A file of the pages' own, as text."""
    return (files("netmesh_controller.surfaces.web") / "static" / name).read_text(encoding="utf-8")


@cache
def plotly() -> str:
    """Plotly's script, from its wheel."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def policy(scripts: tuple[str, ...]) -> str:
    """A Content-Security-Policy that lets only these scripts run and nothing be loaded from anywhere."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    # Plotly writes styles into elements; what is drawn becomes pictures by data: and blob: addresses.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def inline(script: str) -> Markup:
    """A script inside a page. It stands there as it is: the policy's hash is of these very letters."""
    if "</script" in script.lower():
        raise ValueError("a script that holds the end of a script element cannot stand in a page")
    return element("script", Markup(script))
