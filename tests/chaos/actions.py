"""What goes wrong, one function an action: each does it to a mesh under a sweep, and says what is to be undone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import psutil
from tests.integration.test_failures import Mesh

Undo = Callable[[], None]


def _nothing() -> None:
    pass


def agent_killed(mesh: Mesh, _controller: subprocess.Popen[str]) -> Undo:
    """SIGKILL; it is started again after the sweep."""
    mesh.kill("node-3")
    return lambda: mesh.start(3)


def agent_stopped(mesh: Mesh, _controller: subprocess.Popen[str]) -> Undo:
    """SIGSTOP: its connections stay, and nobody answers."""
    pids = [mesh.agents[f"node-3/{role}"].process.pid for role in ("pod", "peer")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return go_on


def tool_killed(mesh: Mesh, _controller: subprocess.Popen[str]) -> Undo:
    """SIGKILL to whatever measures now; nothing where nothing does."""
    for tool in mesh.tools():
        try:
            tool.kill()
        except psutil.NoSuchProcess:
            continue
    return _nothing


def controller_killed(_mesh: Mesh, controller: subprocess.Popen[str]) -> Undo:
    """SIGKILL."""
    controller.kill()
    return _nothing


def controller_stopped(_mesh: Mesh, controller: subprocess.Popen[str]) -> Undo:
    """SIGSTOP for 3 s."""
    controller.send_signal(signal.SIGSTOP)
    try:
        controller.wait(3)
    except subprocess.TimeoutExpired:
        controller.send_signal(signal.SIGCONT)
    return _nothing


def descriptors_exhausted(mesh: Mesh, _controller: subprocess.Popen[str]) -> Undo:
    """An agent can open no further file: prlimit(2) to what it has open."""
    process = psutil.Process(mesh.agents["node-3/pod"].process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), before[1]))

    def give_back() -> None:
        process.rlimit(psutil.RLIMIT_NOFILE, before)

    return give_back
