"""Running the programs by their command lines as built, on this machine or inside network namespaces."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.own import Own

OWN = Own()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return int(holder.getsockname()[1])


def inside(namespace: str | None) -> list[str]:
    return ["ip", "netns", "exec", namespace] if namespace else []


def listening(spec: Spec, port: int, namespace: str | None = None) -> bool:
    protocol = OWN.listens_on(spec, [port])[0][0]
    tables = [f"/proc/self/net/{protocol}", f"/proc/self/net/{protocol}6"]
    text = subprocess.run([*inside(namespace), "cat", *tables], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines() if ":" in line.split()[1]]
    return any(row[1].endswith(f":{port:04X}") and row[3] in {"0A", "07"} for row in rows)


@contextmanager
def server(spec: Spec, address: str, port: int, namespace: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """The server side, once it listens; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*inside(namespace), *OWN.server_command(spec, address, [port])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 10
        while not listening(spec, port, namespace):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.01)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> Output:
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=10)
    return Output(stdout, stderr, process.returncode)


def ask(spec: Spec, address: str, port: int, namespace: str | None = None) -> Reading | Failure:
    """What the client side reads."""
    assert OWN.refuse(spec) is None
    command: Sequence[str] = [*inside(namespace), *OWN.client_command(spec, address, [port])]
    # As long as an agent would let it run.
    seconds = spec.omit_seconds + spec.duration_seconds + OWN.client_overhead_seconds(spec)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    assert done.stderr == ""
    return OWN.parse_client(spec, Output(done.stdout, done.stderr, done.returncode))


def read(spec: Spec, address: str, port: int, namespace: str | None = None) -> Reading:
    reading = ask(spec, address, port, namespace)
    assert isinstance(reading, Reading), reading
    return reading
