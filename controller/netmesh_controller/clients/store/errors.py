"""What can be wrong with a database, each told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from netmesh_common.errors import BadUsageError, CouldNotRunError


class StoreError(CouldNotRunError):
    """The database cannot be used; the message says why and names it."""


class StoreUrlError(StoreError, BadUsageError):
    """What was given as the store is none; the message says what would be right."""


class RunNotFoundError(StoreError, BadUsageError):
    """No run, or more than one, answers to that name."""


class RunBusyError(StoreError):
    """A living process measures that run now."""


@contextmanager
def in_a_sentence(shown: str) -> Iterator[None]:
    """Turns what goes wrong with the database `shown` into a StoreError; nothing was changed then."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(sentence(shown, error)) from error


@contextmanager
def as_written(shown: str) -> Iterator[None]:
    """Turns rows that netmesh cannot have written, as damaged pages hold them, into a StoreError.

    SQLite has no checksums: text that is no UTF-8, JSON that is none, or another type than the column's comes out of a
    file whose structure is whole.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"{shown} is damaged (a row in it cannot be read: {why}); it is left as it is") from error


def sentence(shown: str, error: Exception) -> str:
    """What is wrong with the database `shown`, in a sentence."""
    why = _words(error)
    if "malformed" in why or "not a database" in why:
        return f"{shown} is damaged or no database ({why}); it is left as it is"
    if "database is locked" in why:
        return f"{shown} is held by another process, which did not let go of it in time"
    return f"{shown} cannot be used: {why}; it is left as it is"


def _words(error: BaseException) -> str:
    if isinstance(error, DBAPIError) and error.orig is not None:
        # The driver's own error is behind the one that SQLAlchemy made of it.
        error = error.orig.__cause__ or error.orig
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
