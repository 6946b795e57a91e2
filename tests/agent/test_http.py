"""An agent as the kubelet sees it: alive at once, ready once its certificates are there, metrics in base units."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.agents import new_identity

from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient

WAIT_SECONDS = 30


def free_port() -> int:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str, address: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def wait_for(port: int, path: str, status: int, words: str = "", address: str = "127.0.0.1") -> str:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            code, text = get(port, path, address)
            if code == status and words in text:
                return text
        except OSError:
            code, text = 0, "no answer"
        assert time.monotonic() < until, f"{path} answers {code}: {text}"
        time.sleep(0.02)


@contextmanager
def agent(certificates: Path, http_port: int, grpc_port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "netmesh_agent.cli", "--node", "node-1", "--listen", f"127.0.0.1:{grpc_port}"]
    command += ["--certificates", str(certificates), "--http-port", str(http_port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def test_it_is_ready_once_its_certificates_are_there_and_answers_on_both_families(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "pki")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    http_port, grpc_port = free_port(), free_port()
    with agent(mounted, http_port, grpc_port, "--await-certificates", "yes", "--addresses", "127.0.0.1,::1") as process:
        wait_for(http_port, "/healthz", 200)
        wait_for(http_port, "/readyz", 503, "ca.crt cannot be read")
        assert "netmesh_agent_ready 0.0" in get(http_port, "/metrics")[1]

        # As the kubelet does it: a folder beside, and one symbolic link that is swapped.
        shutil.copytree(identity.agent, mounted / "..2026_01")
        (mounted / "..data").symlink_to("..2026_01")
        for name in ("ca.crt", "tls.crt", "tls.key"):
            (mounted / name).symlink_to(f"..data/{name}")
        wait_for(http_port, "/readyz", 200)
        wait_for(http_port, "/readyz", 200, address="[::1]")

        for target in (f"127.0.0.1:{grpc_port}", f"[::1]:{grpc_port}"):
            client = AgentClient(target, Certificates.read(identity.directory / "controller"))
            try:
                assert (await client.describe())["addresses"][:2] == ["127.0.0.1", "::1"]
            finally:
                await client.close()

        families = {one.name: one for one in text_string_to_metric_families(get(http_port, "/metrics")[1])}
        info = families["netmesh_agent_info"].samples[0]
        assert (info.labels["node"], info.labels["role"], info.value) == ("node-1", "pod", 1)
        assert families["netmesh_agent_ready"].samples[0].value == 1
        assert families["process_resident_memory_bytes"].samples[0].value > 1e6
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0


def test_one_that_waits_ends_at_sigterm(tmp_path: Path) -> None:
    http_port = free_port()
    with agent(tmp_path, http_port, free_port(), "--await-certificates", "yes") as process:
        wait_for(http_port, "/readyz", 503)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with agent(tmp_path, port, free_port()) as process:
            said = process.communicate(timeout=WAIT_SECONDS)[1].decode()
    assert process.returncode == 1
    assert f"http-port: {port}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "value"),
    [("--addresses", "10.0.0.1,10.0.0.2"), ("--addresses", "here"), ("--http-port", "70000"), ("--http-port", "x")],
)
def test_wrong_options_are_named(tmp_path: Path, option: str, value: str) -> None:
    with agent(tmp_path, 0, free_port(), option, value) as process:
        said = process.communicate(timeout=WAIT_SECONDS)[1].decode()
    assert process.returncode == 2
    assert option in said
    assert "Traceback" not in said
