"""CPU limits of pods, by control groups of version 1 (cpu.cfs_quota_us) or 2 (cpu.max)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from netmesh_controller.lab.errors import LabError
from netmesh_controller.lab.processes import Process

_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 100_000


def _root() -> tuple[Path, bool]:
    """Where groups that limit CPU are made, and whether that is version 2."""
    if (_V1 / "cgroup.procs").exists():
        return _V1, False
    if "cpu" in _read(_V2 / "cgroup.controllers").split():
        return _V2, True
    raise LabError("pods.cpu: this machine has no control groups that limit CPU (neither version 1 nor 2).")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _folder(root: Path, lab: str, pod: str) -> Path:
    return root / f"netmesh-lab-{lab}" / pod


def limit(lab: str, pod: str, process: Process, cores: float | None) -> None:
    """Limits a pod's processes to so many cores; None lifts a limit. LabError where that is not possible."""
    if cores is None and not any(_folder(root, lab, pod).exists() for root in (_V1, _V2)):
        return
    root, unified = _root()
    folder = _folder(root, lab, pod)
    quota = None if cores is None else max(1000, round(cores * _PERIOD_MICROSECONDS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if unified:
            # A group hands a controller down only once it is told to, level by level.
            for above in (root, folder.parent):
                (above / "cgroup.subtree_control").write_text("+cpu")
            (folder / "cpu.max").write_text(f"{'max' if quota is None else quota} {_PERIOD_MICROSECONDS}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (folder / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
        _move(folder, process)
    except OSError as error:
        raise LabError(f"pods.cpu: cannot limit CPU in {folder}: {error.strerror}.") from error


def _move(folder: Path, process: Process) -> None:
    """Puts a process and all below it into a group, again until no new one was found: they may be forking."""
    moved: set[int] = set()
    while new := _tree(process) - moved:
        for pid in new:
            with suppress(ProcessLookupError):
                (folder / "cgroup.procs").write_text(str(pid))
        moved |= new


def _tree(process: Process) -> set[int]:
    try:
        return {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()


def remove(lab: str) -> None:
    """Removes the lab's groups; its processes must have ended."""
    for root in (_V1, _V2):
        top = root / f"netmesh-lab-{lab}"
        if top.is_dir():
            for folder in (*(entry for entry in top.iterdir() if entry.is_dir()), top):
                folder.rmdir()
