"""A PostgreSQL server of the tests' own: a Unix socket in a temporary folder, no port, nobody else's data."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "postgres"


@dataclass
class Server:
    """A running server; each test takes a database of its own."""

    folder: Path
    binaries: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, anew after `stop`."""
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"]
        # A child of this process, which does not outlive it, whatever ends it: SIGQUIT is an immediate shutdown.
        command = ["setpriv", "--pdeathsig", "QUIT", str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [*command, *settings],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_user(),
            )
        self.process = process
        _wait(self.binaries, self.folder, process)

    def stop(self) -> None:
        """Ends it at once, as a machine that dies would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)

    def url(self, database: str) -> str:
        return f"postgresql://netmesh@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """Makes an empty database and returns its URL."""
        self.sql("postgres", f'CREATE DATABASE "{database}"')
        return self.url(database)

    def sql(self, database: str, statement: str) -> str:
        """Runs a statement and returns what it answers, a row a line."""
        command = [
            str(self.binaries / "psql"),
            "-h",
            str(self.folder),
            "-U",
            "netmesh",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
        ]
        done = subprocess.run(
            [*command, "-d", database, "-c", statement], check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Starts a server and ends it. PostgreSQL refuses to run as root: then it runs as the user that Debian made."""
    for stale in Path(tempfile.gettempdir()).glob("netmesh-test-pg-*"):
        # What a killed test left behind: its server went with it, and nobody has written there for an hour.
        if time.time() - max(path.stat().st_mtime for path in (stale, stale / "log") if path.exists()) > 3600:
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="netmesh-test-pg-"))
    server = Server(folder, _binaries())
    try:
        if _as_user():
            os.chown(folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        # What is tested is netmesh, not whether the machine loses power.
        options = ["-U", "netmesh", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        _run([str(server.binaries / "initdb"), "-D", str(folder / "data"), *options], folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _as_user() -> dict[str, Any]:
    """For Popen: PostgreSQL refuses to run as root."""
    return {} if os.geteuid() else {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}


def _wait(binaries: Path, folder: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < until, (folder / "log").read_text()
        time.sleep(0.05)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **_as_user(),
    )
    assert done.returncode == 0, done.stdout


def _binaries() -> Path:
    """The newest that Debian's packages have put there; they are not on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    assert found, "there is no PostgreSQL: scripts/install test installs it"
    return found[-1].parent
