"""Errors over HTTP: `application/problem+json` (RFC 9457), with the field that is wrong."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `field` names the part of the request that is wrong, if one is.

    `run` is the run that stands in the way, where one does.
    """

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    run: str | None = None


_TITLES = {
    400: "The request is wrong",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Something else is under way",
    413: "The request is too large",
    415: "The media type is not understood",
    500: "An error of netmesh",
    503: "Not now",
}


class Problem(Exception):  # noqa: N818  # the RFC's word
    """An answer that is an error: status, a stable code, a sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        run: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.run = run
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """As it travels; what is not known is left out."""
        details = ProblemDetails(
            type=f"urn:netmesh:problem:{self.code}",
            title=_TITLES.get(self.status, "The request failed"),
            status=self.status,
            detail=self.detail,
            code=self.code,
            field=self.field,
            run=self.run,
        )
        return details.model_dump(exclude_none=True)

    def response(self) -> web.Response:
        """The answer."""
        return web.json_response(self.body(), status=self.status, content_type=MEDIA_TYPE, headers=self.headers)
