"""Programs of the cluster: started in its control group with a log each, ended by that group, never by a name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .settings import CGROUP, ClusterError

CGROUPS = Path("/sys/fs/cgroup")


def run(*command: str | Path, stdin: str | None = None, seconds: float = 120) -> str:
    """Standard output of a command. Raises ClusterError with what it said where it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise ClusterError(f"There is no {words[0]}: run scripts/install kube.") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{' '.join(words)} did not end within {seconds:g} s.") from None
    if done.returncode:
        raise ClusterError(f"{' '.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_until(what: str, check: Callable[[], object], seconds: float, pause: float = 0.2) -> None:
    """Asks until the answer is true; ClusterError with the sentence `what` where it is not in time."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            raise ClusterError(f"{what}: not within {seconds:g} s.")
        time.sleep(pause)


def hierarchies() -> list[Path]:
    """Where a control group has to be made: every version 1 hierarchy, or the one of version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink()]


def make_cgroup(name: str) -> None:
    """Makes a control group in every hierarchy; a cpuset takes its parents' CPUs and memory nodes."""
    for top in hierarchies():
        group = top
        for part in Path(name).parts:
            parent, group = group, group / part
            group.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):
                if top != CGROUPS and (group / file).exists() and not (group / file).read_text().strip():
                    (group / file).write_text((parent / file).read_text())


def weigh(name: str, processes: int) -> None:
    """Gives a control group the share of busy CPUs that so many processes have; it has one's, whatever is in it."""
    for top in hierarchies():
        for file, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
            if (top / name / file).exists():
                (top / name / file).write_text(str(processes * one))


def members(name: str = CGROUP) -> set[int]:
    """Pids in a control group and all groups below it."""
    pids: set[int] = set()
    for top in hierarchies():
        for file in (top / name).rglob("cgroup.procs"):
            try:
                pids.update(int(word) for word in file.read_text().split())
            except (FileNotFoundError, OSError):  # the group went while it was read
                continue
    return pids


def end_cgroup(name: str = CGROUP) -> None:
    """Kills what is in a control group and removes it, with all groups below it, from every hierarchy."""

    def killed() -> bool:
        pids = members(name)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not pids

    wait_until(f"The processes of {name} end", killed, 30, 0.1)
    wait_until(f"The control groups of {name} go", lambda: _removed(name), 10, 0.1)


def _removed(name: str) -> bool:
    for top in hierarchies():
        root = top / name
        for group in sorted((root, *root.rglob("*")), reverse=True):
            if group.is_dir():
                try:
                    group.rmdir()
                except FileNotFoundError:
                    continue
                except OSError:  # a process is just leaving it
                    return False
    return True


class Daemon:
    """A program that stays, known by the pid that is written beside its log."""

    def __init__(self, folder: Path, name: str, command: Sequence[str | Path], inside: Callable[[], list[str]]) -> None:
        """`inside` gives what brings the command into its namespaces (nsenter); it is asked at each start."""
        self.name = name
        self.command = [str(word) for word in command]
        self._inside = inside
        self.log = folder / "logs" / f"{name}.log"
        self._pid_file = folder / "pids" / name

    def start(self) -> None:
        """Starts it; it outlives this process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        groups = [top / CGROUP / "system" / "cgroup.procs" for top in hierarchies()]
        words = [*self._inside(), *self.command]
        # The shell moves itself before it becomes the program: at no moment is the program outside of the group.
        argv = ["sh", "-c", _ENTER, "sh", str(len(groups)), *(str(group) for group in groups), *words]
        log = (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
        pid = os.posix_spawnp("sh", argv, os.environ, file_actions=files, setsid=True)
        self._pid_file.write_text(f"{pid} {started_at(pid)}")

    @property
    def pid(self) -> int | None:
        """None where it does not run. A pid that another process got since is not taken for it."""
        try:
            pid, started = (int(word) for word in self._pid_file.read_text().split())
        except FileNotFoundError:
            return None
        _reap(pid)
        return pid if started_at(pid) == started else None

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        """Ends it and waits; with SIGKILL where it does not end in time."""
        if (pid := self.pid) is None:
            return
        os.kill(pid, how)
        try:
            wait_until(f"{self.name} ends", lambda: self.pid is None, seconds, 0.05)
        except ClusterError:
            os.kill(pid, signal.SIGKILL)
            wait_until(f"{self.name} ends", lambda: self.pid is None, 10, 0.05)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends and starts it again with its (perhaps changed) command."""
        self.stop(how)
        self.start()

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


_ENTER = 'n=$1; shift; while [ $n -gt 0 ]; do echo $$ > "$1"; shift; n=$((n-1)); done; exec "$@"'


def started_at(pid: int) -> int:
    """In clock ticks after boot (field 22 of proc_pid_stat(5)); -1 where there is no such process but its zombie.

    A process whose first thread ended is shown as a zombie while its other threads still hold its ports (field 20).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if fields[0] == "Z" and int(fields[17]) <= 1 else int(fields[19])


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # another command started it
        return
