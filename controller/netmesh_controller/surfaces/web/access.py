"""Who may do what: one token for reading and changing; anybody may ask for health and the pages' own files."""

from __future__ import annotations

import hmac

from aiohttp import web

from netmesh_controller.surfaces.web.operations import Access
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services

TOKEN_HEADER = "X-Netmesh-Token"  # noqa: S105  # the name of a header


def check_access(request: web.Request, access: Access) -> None:
    """Problem 401 where the operation needs the token and the request has not the right one."""
    having = services(request)
    if access == "open" or (access == "read" and having.public_read):
        return
    given = _token(request)
    if given is None:
        raise _refused(f"give the token as {TOKEN_HEADER}, or as Authorization: Bearer")
    # Compared as bytes, in a time that does not tell how much of it is right.
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), having.token().encode()):
        raise _refused("the token is not this controller's")


def _token(request: web.Request) -> str | None:
    """The header of netmesh's own goes first: the API server's proxy takes Authorization for itself."""
    if (own := request.headers.get(TOKEN_HEADER)) is not None:
        return own
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def _refused(detail: str) -> Problem:
    return Problem(401, "token", detail, headers={"WWW-Authenticate": 'Bearer realm="netmesh"'})
