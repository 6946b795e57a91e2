"""Waiting for a core: recorded files, and real processes that two share one core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from netmesh_agent import cgroup, waiting
from netmesh_agent.host import HostSampler

SPIN = "while True: pass"


@pytest.mark.parametrize(
    ("text", "seconds"), [("9023874 1500000000 812\n", 1.5), ("0 0 0\n", 0.0), ("", None), ("1 2\n", None)]
)
def test_seconds_in_the_run_queue(text: str, seconds: float | None) -> None:
    assert waiting.parse_schedstat(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("some avg10=15.68 avg60=42.51 avg300=55.44 total=398594186\nfull avg10=0.00 total=7\n", 398.594186),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", None),
        ("", None),
    ],
)
def test_pressure_in_seconds(text: str, seconds: float | None) -> None:
    assert waiting.parse_pressure(text) == seconds


def test_the_pressure_of_the_own_group_comes_before_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By files laid out as a container with cgroup v2 has them."""
    (tmp_path / "cpu.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n")
    (tmp_path / "cgroup.type").write_text("domain\n")
    (tmp_path / "cgroup").write_text("3:cpu:/elsewhere\n0::/\n")
    (tmp_path / "mountinfo").write_text(f"35 24 0:30 / {tmp_path} ro - cgroup2 cgroup rw\n")
    (tmp_path / "host").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=9000000\n")
    monkeypatch.setattr(cgroup, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(cgroup, "_MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(waiting, "_HOST_PRESSURE", tmp_path / "host")
    assert waiting.pressure() == (2.5, False)
    (tmp_path / "cpu.pressure").unlink()
    assert waiting.pressure() == (9.0, True)
    (tmp_path / "host").unlink()
    assert waiting.pressure() is None


def test_the_pressure_is_the_kernels() -> None:
    own = cgroup.own_file("cpu.pressure", version=2)
    file = own or Path("/proc/pressure/cpu")
    if not file.exists():
        pytest.skip("this kernel tells no pressure")
    before = waiting.parse_pressure(file.read_text())
    sample = HostSampler(None).sample()
    after = waiting.parse_pressure(file.read_text())
    assert before is not None
    assert after is not None
    assert before <= sample.pressure_seconds <= after
    assert sample.pressure_is_hosts == (own is None or not own.with_name("cgroup.type").exists())


@pytest.mark.measures
def test_two_that_share_a_core_wait_half_of_the_time() -> None:
    """The tool's tree is one of them, under a shell; the other is not the tool's."""
    core = min(os.sched_getaffinity(0))
    pinned = ["taskset", "--cpu-list", str(core), sys.executable, "-c", SPIN]
    with subprocess.Popen(["sh", "-c", '"$@" & wait', "sh", *pinned]) as tool, subprocess.Popen(pinned) as other:
        try:
            sampler = HostSampler(None)
            until = time.monotonic() + 20
            while not psutil.Process(tool.pid).children():
                assert time.monotonic() < until
                time.sleep(0.01)
            time.sleep(0.3)
            first = sampler.sample(tool.pid)
            time.sleep(1.5)
            last = sampler.sample(tool.pid)
        finally:
            for child in psutil.Process(tool.pid).children(recursive=True):
                child.kill()
            tool.kill()
            other.kill()
    seconds = (last.monotonic_nanoseconds - first.monotonic_nanoseconds) / 1e9
    waited = last.tool_wait_seconds - first.tool_wait_seconds
    ran = last.tool_cpu_seconds - first.tool_cpu_seconds
    # It always wants to run, so that it runs or waits; others may want this core too.
    assert waited + ran == pytest.approx(seconds, abs=0.1)
    assert waited > 0.4 * seconds


def test_a_timer_that_is_late_is_counted_and_one_cut_short_is_not() -> None:
    late = waiting.Lateness()
    late.fired()
    late.due_in(10)
    late.fired()
    assert late.seconds == 0
    late.due_in(0.01)
    time.sleep(0.05)
    late.fired()
    assert 0.04 <= late.seconds < 0.5
