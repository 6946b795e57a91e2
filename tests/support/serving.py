"""`netmesh-controller serve` as a process, inside a lab's network beside its switch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.cli import Controller

from netmesh_controller.lab import Lab, namespaces
from netmesh_controller.lab.addressing import fabric_namespace

TOKEN = "a-token-of-the-tests"  # noqa: S105  # it opens nothing else
WAIT_SECONDS = 60


def fetched(lab: Lab, url: str) -> bytes:
    """What an address inside of the lab answers to somebody with the token."""

    def ask() -> bytes:
        with urlopen(Request(url, headers={"X-Netmesh-Token": TOKEN}), timeout=10) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body

    return namespaces.inside(fabric_namespace(lab.name), ask)


@contextmanager
def serving_inside(folder: Path, lab: Lab, *options: str, port: int = 9412) -> Iterator[str]:
    """Its address on the fabric's own loopback; it must end well and without a traceback."""
    command = Controller(folder)
    argv = ["nsenter", f"--net={namespaces.FOLDER / fabric_namespace(lab.name)}", "--", sys.executable]
    argv += ["-m", "netmesh_controller", "serve", "--lab", lab.name, "--listen", f"127.0.0.1:{port}", *options]
    process = subprocess.Popen(
        argv, env=command.environment(NETMESH_TOKEN=TOKEN), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    url = f"http://127.0.0.1:{port}"
    told: Any = ("", "")
    try:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            try:
                fetched(lab, f"{url}/readyz")
            except OSError as error:
                if isinstance(error, HTTPError):
                    error.close()
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        process.terminate()
        told = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, told
    assert "Traceback" not in told[1], told


def diagnosed(lab: Lab, url: str, source: str, target: str, *, quick: bool) -> dict[str, Any]:
    """A diagnosis by the API, when it is over."""
    wanted = json.dumps({"source": source, "target": target, "quick": quick}).encode()
    headers = {"X-Netmesh-Token": TOKEN, "Content-Type": "application/json"}

    def ask(request: Request) -> Any:
        with urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.loads(answer.read())

    def run() -> dict[str, Any]:
        started = ask(Request(f"{url}/api/v1/diagnoses", data=wanted, headers=headers))  # noqa: S310
        where = f"{url}/api/v1/diagnoses/{started['run']}"
        # Its events end with it.
        with urlopen(Request(f"{where}/events", headers=headers), timeout=120) as events:  # noqa: S310
            events.read()
        found: dict[str, Any] = ask(Request(where, headers=headers))  # noqa: S310
        return found

    return namespaces.inside(fabric_namespace(lab.name), run)
