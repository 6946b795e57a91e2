"""Programs are started, drained, measured and ended, with everything that they started."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from netmesh_agent import process
from netmesh_agent.process import OUTPUT_LIMIT_BYTES, ProgramMissing


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


async def test_output_and_exit_code_come_back() -> None:
    ended = await process.run(shell("echo out; echo err >&2; exit 7"), deadline_seconds=10)
    assert (ended.output.stdout, ended.output.stderr, ended.output.exit_code) == ("out\n", "err\n", 7)
    assert not ended.output.timed_out
    assert 0 < ended.ended_nanoseconds - ended.started_nanoseconds < 10e9


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ProgramMissing, match="nm-no-such-program"):
        await process.run(["nm-no-such-program"], deadline_seconds=1)


async def test_the_deadline_ends_it_and_says_so() -> None:
    ended = await process.run(shell("echo begun; sleep 60"), deadline_seconds=0.3)
    assert ended.output.timed_out
    assert ended.output.stdout == "begun\n"


async def test_one_that_ignores_sigterm_is_killed_at_its_deadline() -> None:
    ended = await process.run(shell("trap '' TERM; while :; do sleep 0.1; done"), deadline_seconds=0.3)
    assert ended.output.timed_out


async def test_end_takes_the_children_along() -> None:
    started = await process.start(shell("sleep 61 & sleep 62 & echo ready; wait"), deadline_seconds=60)
    while len(children := psutil.Process(started.pid).children(recursive=True)) < 3:
        await asyncio.sleep(0.01)
    await started.end()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


async def test_what_a_leader_leaves_behind_goes_with_it() -> None:
    started = await process.start(shell("sleep 63 >/dev/null 2>&1 & echo $!"), deadline_seconds=60)
    left_behind = int((await started.ended()).output.stdout)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(left_behind) and psutil.Process(left_behind).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its leader"
        await asyncio.sleep(0.01)


async def test_cancelling_a_run_ends_its_group() -> None:
    marker = "64.25"
    task = asyncio.create_task(process.run(["sleep", marker], deadline_seconds=60))

    def sleeping() -> list[int]:
        return [one.pid for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", marker]]

    while not sleeping():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not sleeping()


async def test_output_beyond_the_limit_is_drained_not_kept() -> None:
    ended = await process.run(shell(f"head -c {OUTPUT_LIMIT_BYTES + 500_000} /dev/zero"), deadline_seconds=30)
    assert ended.output.exit_code == 0
    assert len(ended.output.stdout) == OUTPUT_LIMIT_BYTES


async def test_cpu_seconds_are_those_that_the_program_used() -> None:
    burn = "import resource, time\nwhile time.process_time() < 0.5: pass\n"
    burn += "u = resource.getrusage(resource.RUSAGE_SELF)\nprint(u.ru_utime + u.ru_stime)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = await process.run([sys.executable, "-c", burn], deadline_seconds=30)
    assert ended.cpu_seconds == pytest.approx(float(ended.output.stdout), abs=0.1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    reaped = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert ended.cpu_seconds == pytest.approx(reaped, abs=0.05)


async def test_the_environment_is_clean() -> None:
    os.environ["NETMESH_TEST_VARIABLE"] = "x"
    try:
        ended = await process.run(["env"], deadline_seconds=5)
    finally:
        del os.environ["NETMESH_TEST_VARIABLE"]
    assert sorted(line.split("=")[0] for line in ended.output.stdout.split()) == ["LC_ALL", "PATH"]


def test_nothing_outlives_an_agent_that_is_killed(tmp_path: Path) -> None:
    """A forking server, as qperf is one: its child must go too when the starter gets SIGKILL."""
    script = textwrap.dedent("""
        import asyncio
        from netmesh_agent import process
        async def main():
            await process.start(["sh", "-c", "sleep 65.5 & sleep 65.75 & wait"], deadline_seconds=60)
            print("started", flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    with starter.stdout:
        assert starter.stdout.readline() == b"started\n"
        me = psutil.Process(starter.pid)
        while len(tree := me.children(recursive=True)) < 4:
            time.sleep(0.01)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        _, alive = psutil.wait_procs(tree, timeout=5)
    assert not alive
