"""Wall clocks that tests step: of processes that were started for it, never the machine's."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from pathlib import Path

_SOURCE = Path(__file__).parent / "stepped.c"


class SteppedClock:
    """A wall clock for the processes that `argv` starts, and for all that these start. It is right until it is stepped.

    Files go into `folder`, which must not be there yet. ld.so(8) reads /etc/ld.so.preload whatever the environment is:
    they have a copy of /etc, in a mount namespace of their own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._etc = folder / "etc"
        shutil.copytree("/etc", self._etc, symlinks=True, ignore_dangling_symlinks=True)
        file, library = folder / "step", folder / "stepped.so"
        file.write_bytes(bytes(16))
        compiled = ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", f'-DSTEP_FILE="{file}"']
        subprocess.run([*compiled, "-o", library, _SOURCE, "-ldl"], check=True)
        (self._etc / "ld.so.preload").write_text(f"{library}\n")
        with file.open("r+b") as opened:
            self._step = mmap.mmap(opened.fileno(), 16)

    def argv(self, *command: str) -> list[str]:
        """The command with this clock; its process is the command's own."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(self._etc), *command]

    def step(self, seconds: float) -> None:
        """The clock is ahead by so many seconds from now on (behind, where they are negative)."""
        # First none, so that nobody reads half of it.
        struct.pack_into("=q", self._step, 0, 0)
        struct.pack_into("=q", self._step, 8, round(seconds * 1e9))
        struct.pack_into("=q", self._step, 0, time.time_ns())

    def right(self) -> None:
        """It is what the machine's is again."""
        struct.pack_into("=q", self._step, 0, 0)
