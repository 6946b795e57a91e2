"""A real Prometheus, as Debian ships it, in a network namespace, with a configuration and a data folder of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from netmesh_controller.lab import namespaces

WAIT_SECONDS = 30


@dataclass(frozen=True)
class Prometheus:
    """Where it answers: an address within `namespace`."""

    namespace: str
    address: str

    def api(self, path: str, **query: str) -> Any:
        """What its HTTP API answers, without the envelope."""

        def ask() -> Any:
            with urlopen(f"http://{self.address}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
                return json.load(answer)

        answered = namespaces.inside(self.namespace, ask)
        assert answered["status"] == "success", answered
        return answered["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def wait(self, until: Callable[[], bool], what: str, more: Callable[[], object] = lambda: "") -> None:
        """Until something holds; what it scrapes comes when it comes."""
        end = time.monotonic() + WAIT_SECONDS
        while not until():
            assert time.monotonic() < end, f"{what}: {more()}"
            time.sleep(0.2)


@contextmanager
def prometheus(
    folder: Path, namespace: str, jobs: Sequence[Mapping[str, Any]], rules: Mapping[str, Any], port: int = 9090
) -> Iterator[Prometheus]:
    """Runs it until the context is left; it ends by its process id."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [dict(job) for job in jobs],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{port}"
    command = ["nsenter", f"--net={namespaces.FOLDER / namespace}", "--", "prometheus"]
    command += [f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=warn"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    running = Prometheus(namespace, address)
    try:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            try:
                running.api("status/buildinfo")
            except OSError as error:
                if isinstance(error, HTTPError):
                    error.close()
                time.sleep(0.05)
            else:
                break
        yield running
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
