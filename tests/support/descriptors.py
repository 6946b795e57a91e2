"""What descriptors a process holds (proc(5))."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from netmesh_controller.clients.store.location import FILE_NAME


def descriptors(pid: int) -> int:
    """How many it holds, but for files of its store.

    These are of a bounded pool of connections, which has one more, for good, each time that as much is asked at once as
    never before.
    """
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += not descriptor.readlink().name.startswith(FILE_NAME)
    return count
