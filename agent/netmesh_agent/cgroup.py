"""How long the agent's own cgroup was throttled: read from cpu.stat, of cgroup v1 or v2.

A throttled process measures its own waiting; whoever reads its figures has to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_CGROUP = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Group:
    """The group that holds the cpu controller of a process: its hierarchy's version and its path in there."""

    version: int
    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a hierarchy is mounted, and which of its groups stands at the mount point."""

    version: int
    root: PurePosixPath
    point: PurePosixPath


def parse_group(text: str, version: int | None = None) -> Group | None:
    """The group of a /proc/PID/cgroup (cgroups(7)): v1's cpu hierarchy where there is one, else v2's.

    With `version` the group of that hierarchy only.
    """
    unified: Group | None = None
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(",") and version != 2:
            return Group(1, PurePosixPath(path))
        if number == "0" and not controllers and version != 1:
            unified = Group(2, PurePosixPath(path))
    return unified


def parse_mounts(text: str, version: int) -> list[Mount]:
    """The mounts of a /proc/PID/mountinfo (proc(5)) that show the cpu hierarchy of that version."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
        is_v1 = kind == "cgroup" and "cpu" in options.split(",")
        is_v2 = kind == "cgroup2"
        if (version == 1 and is_v1) or (version == 2 and is_v2):
            found.append(Mount(version, PurePosixPath(_unescaped(fields[3])), PurePosixPath(_unescaped(fields[4]))))
    return found


def _unescaped(field: str) -> str:
    """A mountinfo field without its octal escapes (\\040 is a blank)."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def candidates(group: Group, mounts: list[Mount], name: str = "cpu.stat") -> list[PurePosixPath]:
    """Where the group's file of that name may stand, best first.

    A mount that shows a part of the hierarchy only, as a container's does, shows the container's own group at its
    point, also where the path in /proc is one that the container cannot see. A mount of the whole hierarchy never
    stands for a group that is not found in it.
    """
    found = [
        mount.point / group.path.relative_to(mount.root) / name
        for mount in mounts
        if group.path.is_relative_to(mount.root) and ".." not in group.path.parts
    ]
    found += [mount.point / name for mount in mounts if mount.root != PurePosixPath("/")]
    return list(dict.fromkeys(found))


def parse_throttled(text: str) -> float | None:
    """Seconds that a group was throttled, by its cpu.stat: `throttled_time` in ns (v1), `throttled_usec` (v2).

    None where the file has neither: v2's root, or a group without the cpu controller.
    """
    values = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    if "throttled_usec" in values:
        return int(values["throttled_usec"]) / 1e6
    if "throttled_time" in values:
        return int(values["throttled_time"]) / 1e9
    return None


class Throttling:
    """Reads the throttled time of the group that this process is in, also after it was moved to another."""

    def __init__(self) -> None:
        self._told: str | None = None
        self._file: Path | None = None

    def seconds(self) -> float | None:
        """Seconds throttled since the group was made; None where that cannot be read."""
        try:
            told = _CGROUP.read_text()
            if told != self._told:
                self._file = _stat_file(told, _MOUNTS.read_text())
                self._told = told
            return parse_throttled(self._file.read_text()) if self._file is not None else None
        except OSError:
            # A group removed and made anew, or a mount that went: look again the next time.
            self._told = None
            return None


def _stat_file(group_text: str, mounts_text: str) -> Path | None:
    return _file(parse_group(group_text), mounts_text, "cpu.stat")


def own_stat() -> Path | None:
    """The cpu.stat of the group that this process is in; None where there is none."""
    try:
        return _stat_file(_CGROUP.read_text(), _MOUNTS.read_text())
    except OSError:
        return None


def own_file(name: str, *, version: int) -> Path | None:
    """A file of this process's own group of that hierarchy; None where there is none."""
    try:
        return _file(parse_group(_CGROUP.read_text(), version), _MOUNTS.read_text(), name)
    except OSError:
        return None


def _file(group: Group | None, mounts_text: str, name: str) -> Path | None:
    if group is None:
        return None
    possible = candidates(group, parse_mounts(mounts_text, group.version), name)
    return next((Path(path) for path in possible if Path(path).exists()), None)
