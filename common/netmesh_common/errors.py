"""The two kinds of errors that a person can mend; each message is one sentence that names what is wrong."""

from __future__ import annotations


class BadUsageError(Exception):
    """What was asked for is wrong: an option, a field of a file, a name. The message says what would be right."""


class CouldNotRunError(Exception):
    """What was asked for is right and cannot be done here and now; the message says why."""
