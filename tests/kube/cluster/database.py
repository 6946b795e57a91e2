"""A PostgreSQL server beside the control plane, which pods reach at its address."""

from __future__ import annotations

import shutil
from pathlib import Path

from .network import CONTROL_PLANE, enter
from .processes import Daemon, run, wait_until
from .settings import CONTROL_PLANE_V4, ClusterError

# It refuses to run as root; Debian's package makes this user.
_AS_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


class Database:
    """An empty database, `netmesh`, of a server that starts with it."""

    url = f"postgresql://netmesh@{CONTROL_PLANE_V4}/netmesh"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgres"
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            raise ClusterError("There is no PostgreSQL: run scripts/install kube.")
        self._programs = found[-1]
        settings = {"unix_socket_directories": "", "listen_addresses": CONTROL_PLANE_V4, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server: list[str | Path] = [self._programs / "postgres", "-D", self._folder / "data", *options]
        self._server = Daemon(folder, "postgres", server, lambda: [*enter(CONTROL_PLANE), *_AS_USER])

    def start(self) -> None:
        """Makes the database and waits until it answers."""
        self._folder.mkdir(mode=0o700)
        shutil.chown(self._folder, "postgres", "postgres")
        options = ["-U", "netmesh", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        run(*_AS_USER, self._programs / "initdb", "-D", self._folder / "data", *options)
        with (self._folder / "data" / "pg_hba.conf").open("a") as access:
            access.write("host all netmesh 0.0.0.0/0 trust\n")  # its network ends at the cluster
        self._server.start()
        wait_until("PostgreSQL answers", self._answers, 30)
        self._psql("postgres", "CREATE DATABASE netmesh")

    def stop(self) -> None:
        """Ends the server and removes its data."""
        self._server.stop()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        try:
            self._psql("postgres", "SELECT 1")
        except ClusterError:
            if self._server.pid is None:
                raise ClusterError(f"PostgreSQL ended:\n{self._server.tail()}") from None
            return False
        return True

    def _psql(self, database: str, statement: str) -> None:
        options = ["-h", CONTROL_PLANE_V4, "-U", "netmesh", "-d", database, "-XAtqc", statement]
        run(*enter(CONTROL_PLANE), self._programs / "psql", *options)
