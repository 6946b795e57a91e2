"""How a command ends: exit codes, and errors that are one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from netmesh_common.tls import CertificateError
from netmesh_controller.clients.store import RunNotFoundError, StoreError, StoreUrlError
from netmesh_controller.identity import IdentityError
from netmesh_controller.inventory.located import InventoryError
from netmesh_controller.lab.errors import LabError, LabInputError
from netmesh_controller.mesh.ask import AskError
from netmesh_controller.token import TokenError


class ExitCode(IntEnum):
    """What the exit code of a command means."""

    COMPLETE = 0
    COULD_NOT_RUN = 1
    BAD_USAGE = 2
    GAPS = 3
    INTERRUPTED = 130


class BadUsageError(Exception):
    """The command was called wrongly; the message names the option and what would be right."""


class CouldNotRunError(Exception):
    """Nothing could be measured; the message says why."""


_BAD_USAGE = (
    BadUsageError,
    AskError,
    InventoryError,
    CertificateError,
    RunNotFoundError,
    StoreUrlError,
    LabInputError,
    TokenError,
)
_COULD_NOT_RUN = (CouldNotRunError, StoreError, IdentityError, LabError)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns the errors that a user can mend into one sentence on stderr and the exit code that fits."""
    try:
        yield
    except _BAD_USAGE as error:
        _end(str(error), ExitCode.BAD_USAGE)
    except _COULD_NOT_RUN as error:
        _end(str(error), ExitCode.COULD_NOT_RUN)


def _end(sentence: str, code: ExitCode) -> None:
    print(f"netmesh-controller: {sentence}", file=sys.stderr)  # the command line's answer
    raise SystemExit(code)
