"""HTML: one file that opens offline and loads nothing."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.surfaces.reports.formats import Format, Wanted
from netmesh_controller.surfaces.reports.page.whole import page


def render(wanted: Wanted, _ending: str) -> Iterator[bytes]:
    """The page of the run."""
    yield page(wanted.content).encode()


FORMAT = Format((".html",), render)
