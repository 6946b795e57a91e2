"""Throttled time: by recorded files of v1 and v2, and by a real v1 group with a small quota."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from netmesh_agent.cgroup import Group, candidates, parse_group, parse_mounts, parse_throttled

V1_CPU = Path("/sys/fs/cgroup/cpu")

HYBRID_GROUPS = """\
9:name=systemd:/
4:memory:/kubepods/burstable/pod1/abc
3:cpuset:/
2:cpu,cpuacct:/kubepods/burstable/pod1/abc
0::/
"""
HOST_V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
# A container without a cgroup namespace: its own group stands at the mount point.
CONTAINER_V1_MOUNTS = """\
700 690 0:29 /kubepods/burstable/pod1/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct
"""
V2_MOUNTS = "35 24 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"

V1_STAT = "nr_periods 43\nnr_throttled 41\nthrottled_time 3282104528\nnr_bursts 0\nburst_time 0\n"
V2_STAT = """\
usage_usec 1202938
user_usec 1100021
system_usec 102917
nice_usec 0
nr_periods 60
nr_throttled 58
throttled_usec 4693112
nr_bursts 0
burst_usec 0
"""
V2_STAT_WITHOUT_CONTROLLER = "usage_usec 1202938\nuser_usec 1100021\nsystem_usec 102917\nnice_usec 0\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(V1_STAT, 3.282104528), (V2_STAT, 4.693112), (V2_STAT_WITHOUT_CONTROLLER, None), ("", None)],
)
def test_throttled_time_in_seconds(text: str, seconds: float | None) -> None:
    assert parse_throttled(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "group"),
    [
        (HYBRID_GROUPS, Group(1, PurePosixPath("/kubepods/burstable/pod1/abc"))),
        ("0::/system.slice/a.service\n", Group(2, PurePosixPath("/system.slice/a.service"))),
        ("3:cpuset:/x\n0::/\n", Group(2, PurePosixPath("/"))),
        ("3:cpuset:/x:y\n", None),
        ("", None),
    ],
)
def test_group_of_the_cpu_controller(text: str, group: Group | None) -> None:
    assert parse_group(text) == group


@pytest.mark.parametrize(
    ("group", "mounts", "files"),
    [
        (HYBRID_GROUPS, HOST_V1_MOUNTS, ["/sys/fs/cgroup/cpu,cpuacct/kubepods/burstable/pod1/abc/cpu.stat"]),
        (HYBRID_GROUPS, CONTAINER_V1_MOUNTS, ["/sys/fs/cgroup/cpu,cpuacct/cpu.stat"]),
        # The path is one of the host that this container cannot see.
        ("2:cpu:/elsewhere\n", CONTAINER_V1_MOUNTS, ["/sys/fs/cgroup/cpu,cpuacct/cpu.stat"]),
        ("0::/\n", V2_MOUNTS, ["/sys/fs/cgroup/cpu.stat"]),
        ("0::/system.slice/a.service\n", V2_MOUNTS, ["/sys/fs/cgroup/system.slice/a.service/cpu.stat"]),
        # Outside of the namespace's own root: the whole hierarchy's root is not this group.
        ("0::/../other\n", V2_MOUNTS, []),
        ("0::/\n", CONTAINER_V1_MOUNTS, []),
    ],
)
def test_where_the_file_stands(group: str, mounts: str, files: list[str]) -> None:
    own = parse_group(group)
    assert own is not None
    assert [str(path) for path in candidates(own, parse_mounts(mounts, own.version))] == files


def test_mount_points_with_blanks() -> None:
    mounts = parse_mounts("1 2 0:3 / /mnt/my\\040groups rw - cgroup2 cgroup rw\n", 2)
    assert [str(mount.point) for mount in mounts] == ["/mnt/my groups"]


@pytest.fixture
def group() -> Iterator[Path]:
    """A v1 cpu group with a fifth of a core, removed after."""
    if os.geteuid() != 0:
        pytest.skip("making a control group needs root")
    if not (V1_CPU / "cgroup.procs").exists():
        pytest.skip("this kernel has no cpu hierarchy of cgroup v1")
    made = V1_CPU / f"nm-test-{os.getpid()}"
    made.mkdir()
    try:
        (made / "cpu.cfs_period_us").write_text("100000")
        (made / "cpu.cfs_quota_us").write_text("20000")
        yield made
    finally:
        for _ in range(100):
            try:
                made.rmdir()
                break
            except OSError:  # its last process is still on the way out
                time.sleep(0.02)


MOVED = """
import json, os, sys, time
from pathlib import Path
from netmesh_agent.cgroup import Throttling
from netmesh_agent.host import HostSampler
group, throttling, sampler = Path(sys.argv[1]), Throttling(), HostSampler(None)
told = [throttling.seconds()]
(group / "cgroup.procs").write_text(str(os.getpid()))
told.append(throttling.seconds())
until = time.monotonic() + 0.8
while time.monotonic() < until:
    pass
told += [throttling.seconds(), sampler.sample().throttled_seconds]
print(json.dumps(told))
"""


@pytest.mark.measures
def test_a_spinning_process_under_a_quota_sees_itself_throttled(group: Path) -> None:
    """It starts outside of the group and is moved into it, as when limits are set while it runs."""
    run = subprocess.run([sys.executable, "-c", MOVED, str(group)], capture_output=True, text=True, check=True)
    outside, before, after, sampled = json.loads(run.stdout)
    stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    at_the_end = int(stat["throttled_time"]) / 1e9
    assert outside is not None
    assert before < 0.1
    # 0.8 s at a fifth of a core: some 0.6 s of it standing still.
    assert 0.2 < after - before <= at_the_end
    assert after <= sampled <= at_the_end
