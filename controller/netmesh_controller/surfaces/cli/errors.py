"""How a command ends: exit codes, and errors that are one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from netmesh_common.errors import BadUsageError, CouldNotRunError

__all__ = ["BadUsageError", "CouldNotRunError", "ExitCode", "one_sentence"]


class ExitCode(IntEnum):
    """What the exit code of a command means."""

    COMPLETE = 0
    COULD_NOT_RUN = 1
    BAD_USAGE = 2
    GAPS = 3
    FAILED = 4  # an expectation, or a comparison that was told to fail
    FOUND = 5  # a diagnosis found something
    INTERRUPTED = 130


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns the errors that a user can mend into one sentence on stderr and the exit code that fits."""
    try:
        yield
    except BadUsageError as error:
        _end(str(error), ExitCode.BAD_USAGE)
    except CouldNotRunError as error:
        _end(str(error), ExitCode.COULD_NOT_RUN)


def _end(sentence: str, code: ExitCode) -> None:
    print(f"netmesh-controller: {sentence}", file=sys.stderr)  # the command line's answer
    raise SystemExit(code)
