"""Where the store is: a file in the data directory, or what a URL names."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from netmesh_controller.clients.store.errors import StoreUrlError

FILE_NAME = "netmesh.sqlite"
KUBERNETES = "kubernetes"
_RIGHT = "give postgresql://USER@HOST/DATABASE, sqlite:///PATH, http://CONTROLLER:9412 or kubernetes"


@dataclass(frozen=True, slots=True)
class Location:
    """A database. `path` is its file, None where it is a server's; `shown` names it without its password."""

    url: URL
    path: Path | None
    shown: str


def data_directory() -> Path:
    """Where the store lives: NETMESH_DATA_DIR, else the user's data directory (XDG Base Directory)."""
    named = os.environ.get("NETMESH_DATA_DIR")
    return Path(named) if named else Path(platformdirs.user_data_dir("netmesh", appauthor=False))


def is_remote(where: object) -> bool:
    """Whether a store is that of a controller: its URL, or `kubernetes` for the cluster's."""
    return isinstance(where, str) and (where == KUBERNETES or where.startswith(("http://", "https://")))


def locate(where: Path | str | None) -> Location:
    """The database in a folder (a Path), at a URL (a text), or by default: NETMESH_STORE, else `data_directory`.

    StoreUrlError where the URL is none, or where what it needs is not installed.
    """
    if where is None:
        where = os.environ.get("NETMESH_STORE") or data_directory()
    if isinstance(where, Path):
        return _file(where / FILE_NAME)
    try:
        url = make_url(where)
        kind = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise StoreUrlError(f"--store: '{where}' is no URL of a database; {_RIGHT}") from error
    if kind == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StoreUrlError(f"--store: '{where}' names no file; {_RIGHT}")
        path = Path(url.database)
        if path.is_dir():
            raise StoreUrlError(f"--store: {path} is a folder; name a file in it, such as {path / FILE_NAME}")
        return _file(path)
    if kind not in ("postgresql", "postgres"):
        raise StoreUrlError(f"--store: netmesh does not store in {kind}; {_RIGHT}")
    if importlib.util.find_spec("asyncpg") is None:
        raise StoreUrlError(
            "--store: PostgreSQL needs the package asyncpg: pip install 'netmesh[controller,postgresql]'"
        )
    url = url.set(drivername="postgresql+asyncpg")
    return Location(url, None, url.set(drivername="postgresql").render_as_string(hide_password=True))


def _file(path: Path) -> Location:
    return Location(URL.create("sqlite+aiosqlite", database=str(path)), path, str(path))
