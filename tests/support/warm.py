"""The command line without its start: one process that has imported it forks another for every call.

A call is a process all the same, with its own exit code, output and environment. What is wrong with an import shows in
the tests that start the program itself.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.cli import COMMAND_SECONDS, Answer, Controller

ROOT = Path(__file__).parents[2]


class Warm:
    """The process that forks: a call is a line of JSON on its stdin, the answer a line on its stdout."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Answer:
        """Runs netmesh-controller to its end; its output goes by way of files in `folder`."""
        files = [folder / "stdout.txt", folder / "stderr.txt"]
        asked = {"arguments": list(arguments), "environment": dict(environment), "files": [str(one) for one in files]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        stdout, stderr = (one.read_text() for one in files)
        return Answer(int(line), stdout, stderr)


@dataclass(frozen=True)
class WarmController(Controller):
    """A controller whose commands that end by themselves need no start of an interpreter."""

    warm: Warm

    def __call__(self, *arguments: object, **environment: str) -> Answer:
        """Runs a command to its end."""
        return self.warm.call([str(one) for one in arguments], self.environment(**environment), self.data.parent)


@contextmanager
def warm_process() -> Iterator[Warm]:
    """Starts the process, and ends it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Warm(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def _import_all() -> None:
    from netmesh_controller.surfaces import cli  # noqa: PLC0415

    for module in pkgutil.iter_modules(cli.__path__, f"{cli.__name__}."):
        importlib.import_module(module.name)


def _serve() -> None:
    """Forks for each line, and answers with the exit code; ends with its stdin."""
    _import_all()
    # A thread does not live through a fork, and what it holds stays locked.
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(asked["arguments"], asked["environment"], asked["files"])
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(arguments: list[str], environment: dict[str, str], files: list[str]) -> None:
    """The rest of a forked process's life; as at a start of its own, every end of it has an exit code."""
    from netmesh_controller.__main__ import main  # noqa: PLC0415

    signal.alarm(COMMAND_SECONDS)
    for descriptor, path in zip((1, 2), files, strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["netmesh-controller", *arguments]
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
