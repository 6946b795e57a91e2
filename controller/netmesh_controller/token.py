"""The token of the HTTP API: from the environment, from a file, or made once and kept in the data directory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from netmesh_common.errors import BadUsageError

VARIABLE = "NETMESH_TOKEN"
_LEAST = 16


class TokenError(BadUsageError):
    """There is no token to be had; the message says what would be right."""


def token_source(file: Path | None, directory: Path) -> tuple[Callable[[], str], str]:
    """How to get the token, and where it comes from in words: NETMESH_TOKEN, else `file`, else a file in `directory`,
    which is made with a new token where it is not there.

    A file is read again for each request, so that a token that is changed (a Secret that is mounted) holds at once.
    TokenError where there is none now, or where it is shorter than 16 characters.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return lambda: given, f"in {VARIABLE}" if _checked(given, VARIABLE) else ""
    path = directory / "token" if file is None else file
    if file is None and not path.exists():
        _make(path)
    last = _checked(_read(path), f"--token-file: {path}")

    def current() -> str:
        nonlocal last
        # While it is being changed, the last one holds.
        with suppress(TokenError):
            last = _checked(_read(path), str(path))
        return last

    return current, f"in {path}"


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        pass  # another was first
    except OSError as error:
        raise TokenError(f"the token cannot be kept in {path}: {error.strerror}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise TokenError(f"--token-file: {path} cannot be read: {error.strerror}") from error


def _checked(token: str, what: str) -> str:
    if len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(f"{what}: a token has at least {_LEAST} characters of ASCII and no spaces")
    return token
