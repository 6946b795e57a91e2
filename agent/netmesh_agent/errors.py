"""A call that an agent refuses, as the caller sees it: a stable code, a sentence, and the field that is wrong.

Refused
 ├── refused, not_supported, rate_not_supported: will not work
 └── busy: not now
"""

from __future__ import annotations


class Refused(Exception):  # noqa: N818  # the answer, told by name
    """The agent will not, or not now; `code` is a reason code."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
