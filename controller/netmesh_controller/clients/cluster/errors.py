"""What the Kubernetes API refuses, and what keeps it from answering."""

from __future__ import annotations

import json

from netmesh_common.errors import CouldNotRunError


class ClusterError(CouldNotRunError):
    """The API refused a call, or did not answer; the text is one sentence.

    `status` is the HTTP status, None where there was no answer; `retry_after_seconds` what the API asks to wait.
    """

    def __init__(self, message: str, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later: no answer, too many calls, or a fault of the server's."""
        return self.status is None or self.status == 429 or self.status >= 500


class Forbidden(ClusterError):  # noqa: N818  # a state, told by name
    """The rights do not allow the call."""


class NotFound(ClusterError):  # noqa: N818
    """There is no such object, or its namespace or kind is not there."""


class Conflict(ClusterError):  # noqa: N818
    """There is such an object already, or it changed since it was read."""


class Gone(ClusterError):  # noqa: N818
    """The version that a list or watch would go on from is no longer kept (410): it has to be read anew."""


_KINDS = {401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}


def error_from(status: int, body: str, what: str, retry_after: str | None = None) -> ClusterError:
    """The error of an answer of the API, whose body is a `Status` object (or not, where a proxy answered)."""
    try:
        said = json.loads(body)
        message = said.get("message") if isinstance(said, dict) else None
    except ValueError:
        message = None
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    why = message or body.strip()[:200] or "no reason given"
    return _KINDS.get(status, ClusterError)(f"Kubernetes refused {what} ({status}): {why}", status, seconds)
