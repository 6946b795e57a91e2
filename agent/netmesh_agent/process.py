"""The only place that starts programs.

Each runs in a session of its own under timeout(1), in a clean environment, with both pipes drained into bounded
buffers. It ends with its deadline, with its agent, or when it is told to, and all of its process group with it.

Why timeout(1) and SIGTERM as the signal of the parent's death, rather than SIGKILL on the program itself: a server
that forks for each test (qperf) does not pass prctl(2)'s PR_SET_PDEATHSIG on to its children, so that a killed agent
would leave a child behind that holds the port. timeout(1) stays between, and hands the signal to the whole group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from netmesh_agent.tools.base import Output

OUTPUT_LIMIT_BYTES = 8 * 1024 * 1024
GRACE_SECONDS = 2
_TIMED_OUT = 124  # timeout(1): the command was ended at its deadline


class ProgramMissing(Exception):  # noqa: N818  # the state of the machine, told by name
    """The program is not on PATH."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed on this node")
        self.program = program


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its output, the window on the monotonic clock, and what it used.

    `cpu_seconds` is user and system time of the program and of all descendants that were waited for (wait4(2)); None:
    it was no program of its own.
    """

    output: Output
    started_nanoseconds: int
    ended_nanoseconds: int
    cpu_seconds: float | None


class _Pipe(asyncio.Protocol):
    """Collects what comes through a pipe, and keeps draining it beyond the limit, so that nobody blocks on it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        room = OUTPUT_LIMIT_BYTES - len(self.data)
        if room > 0:
            self.data += data[:room]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        if not self.closed.done():
            self.closed.set_result(None)

    def text(self) -> str:
        return self.data.decode("utf-8", errors="replace")


class Process:
    """A running program. `ended` resolves once it is reaped and both of its pipes are read."""

    def __init__(
        self, argv: Sequence[str], popen: subprocess.Popen[bytes], started_nanoseconds: int, deadline_seconds: float
    ) -> None:
        self.argv = tuple(argv)
        self.pid = popen.pid
        self._deadline_seconds = deadline_seconds
        self._popen = popen
        self._started_nanoseconds = started_nanoseconds
        self._pipes = (_Pipe(), _Pipe())
        self._reaped: asyncio.Future[tuple[int, int, float]] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        self._transports: list[asyncio.ReadTransport] = []
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    async def _read_pipes(self) -> None:
        loop = asyncio.get_running_loop()
        for pipe, stream in zip(self._pipes, (self._popen.stdout, self._popen.stderr), strict=True):
            transport, _ = await loop.connect_read_pipe(lambda pipe=pipe: pipe, stream)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            self._transports.append(transport)

    def _reap(self) -> None:
        ended = time.monotonic_ns()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # What the leader left behind in its group goes with it: now, while the dead leader still holds the number.
        self._signal_group(signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        self._reaped.set_result((self._popen.returncode, ended, usage.ru_utime + usage.ru_stime))

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._reaped.done()

    async def ended(self) -> Ended:
        """Waits for its end."""
        exit_code, ended_nanoseconds, cpu_seconds = await asyncio.shield(self._reaped)
        # A process that left the group could hold a pipe open; its output is not waited for.
        await asyncio.wait([pipe.closed for pipe in self._pipes], timeout=1)
        for transport in self._transports:
            transport.close()
        # One that ignored SIGTERM was killed together with timeout(1), which could not say so any more.
        overdue = ended_nanoseconds - self._started_nanoseconds >= self._deadline_seconds * 1e9
        timed_out = exit_code == _TIMED_OUT or (exit_code == -signal.SIGKILL and overdue)
        output = Output(self._pipes[0].text(), self._pipes[1].text(), None if timed_out else exit_code, timed_out)
        return Ended(output, self._started_nanoseconds, ended_nanoseconds, cpu_seconds)

    async def wait(self, seconds: float) -> None:
        """Waits for its end, but no longer than `seconds`."""
        await asyncio.wait([self._reaped], timeout=seconds)

    async def end(self) -> Ended:
        """Ends its whole group: asks, waits `GRACE_SECONDS`, then kills. Safe to call twice; never left half-way."""
        return await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _end(self) -> Ended:
        if self.running:
            self._signal_group(signal.SIGTERM)
            await self.wait(GRACE_SECONDS)
        if self.running:
            self._signal_group(signal.SIGKILL)
        return await self.ended()


async def start(argv: Sequence[str], *, deadline_seconds: float, secret: bytes | None = None) -> Process:
    """Starts a program that is ended, with its whole group, after `deadline_seconds` at the latest.

    It reads `secret` from its standard input, where no other user can look, up to what a pipe holds (pipe(7)).
    Raises ProgramMissing where it is not on PATH.
    """
    if shutil.which(argv[0]) is None:
        raise ProgramMissing(argv[0])
    guarded = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "timeout",
        f"--kill-after={GRACE_SECONDS}",
        f"{deadline_seconds:.3f}",
        *argv,
    ]
    started = time.monotonic_ns()
    popen = subprocess.Popen(  # noqa: ASYNC220  # vfork and exec only; it is read and reaped without blocking
        guarded,
        stdin=subprocess.DEVNULL if secret is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )
    process = Process(argv, popen, started, deadline_seconds)
    try:
        if secret is not None:
            _tell(popen, secret)
        await process._read_pipes()  # noqa: SLF001  # the second half of the constructor, which must await
    except BaseException:
        await process.end()
        raise
    return process


def _tell(popen: subprocess.Popen[bytes], secret: bytes) -> None:
    """Writes to a program's standard input and closes it; one that has ended already reads nothing."""
    stdin = popen.stdin
    if stdin is None:
        return
    with contextlib.suppress(BrokenPipeError), stdin:
        stdin.write(secret)


async def run(argv: Sequence[str], *, deadline_seconds: float) -> Ended:
    """Runs a program to its end; cancelling ends its whole group."""
    process = await start(argv, deadline_seconds=deadline_seconds)
    try:
        return await process.ended()
    finally:
        await process.end()
