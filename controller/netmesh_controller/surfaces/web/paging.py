"""Pages of a list: how many, and after what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netmesh_controller.surfaces.web.operations import Query
from netmesh_controller.surfaces.web.problems import Problem

MOST_A_PAGE = 1000


class Page(Query):
    """A page of a list; `next` of the one before goes into `after`."""

    limit: Annotated[int, Field(ge=1, le=MOST_A_PAGE, description="How many at most")] = 100
    after: Annotated[str | None, Field(min_length=1, max_length=200, description="`next` of the page before")] = None


def number_of(after: str | None) -> int:
    """How many entries the pages before had, where `next` is their number."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) <= 12):
        raise Problem(400, "bad_query", "after: give `next` of the page before", field="after")
    return int(after)
