"""Commands inside a lab of a test."""

from __future__ import annotations

import subprocess

from netmesh_controller.lab import Lab, exec_argv


def run_in(lab: Lab, node: str, where: str, *command: str) -> str:
    """Runs a command on a node ("host") or in one of its pods ("agent", "peer") and returns its output."""
    argv = exec_argv(lab.name, node, where, command)  # type: ignore[arg-type]  # one of the three
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
