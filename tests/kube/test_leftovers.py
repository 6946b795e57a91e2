"""What a killed harness leaves is found and removed; the machine is then as it was before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kube.cluster import Cluster
from tests.kube.cluster.processes import CGROUPS, members, wait_until
from tests.kube.cluster.settings import CGROUP, PREFIX, SYSCTLS, state_folder

pytestmark = pytest.mark.timeout(1800)


def _traces() -> dict[str, object]:
    """All that a cluster leaves on the machine while it lives, and what it changes there."""
    namespaces = Path("/run/netns")
    return {
        "processes": len(members()),
        "namespaces": len(list(namespaces.glob(f"{PREFIX}-*"))) if namespaces.exists() else 0,
        "devices": len(list(Path("/sys/class/net").glob(f"{PREFIX}-*"))),
        "control groups": len(list(CGROUPS.glob(f"*/{CGROUP}"))),
        "mounts": Path("/proc/mounts").read_text().count(str(state_folder())),
        "folder": state_folder().exists(),
        "own folders": [Path(folder).exists() for folder in ("/var/lib/kubelet", "/var/log/pods", "/run/containerd")],
        "settings": [Path("/proc/sys", name).read_text() for name in SYSCTLS],
    }


def test_a_killed_harness_leaves_nothing_that_the_next_does_not_remove() -> None:
    if os.environ.get("NETMESH_KUBE_REUSE"):
        pytest.skip("the cluster that is to be used is in the way")
    Cluster.down()
    before = _traces()
    starts = "from tests.kube.cluster import Cluster; Cluster.up(); print('up', flush=True); input()"
    harness = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert harness.stdout
    assert harness.stdout.read(2) == b"up"  # after any build
    harness.kill()
    harness.communicate()
    assert _traces()["processes"]

    # Killed half way, too: the second start first removes what the first left.
    second = subprocess.Popen([sys.executable, "-c", starts], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    pids = state_folder() / "pids"
    wait_until("What the first left goes", lambda: not pids.exists(), 60, 0.002)
    wait_until("A node starts", (pids / "node-1-containerd").exists, 60, 0.02)
    os.kill(second.pid, signal.SIGKILL)
    second.communicate()
    assert _traces()["processes"]

    assert Cluster.down()
    assert _traces() == before
    assert not Cluster.down()
