"""A run of 1,000 x 1,000 (values only): import, arrays, matrices, findings, comparison (goal 30 s, 1 GB together).

Beside these: its export, and `report` on the terminal, which is a process of its own.

Seconds by the clock, and of CPU beside them: on a busy machine the rest is the machine's.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import zstandard
from tests.support.peak import own_peak, peak_of

from bench.answers import NODES, lines
from netmesh_controller.clients.store import Store, open_store
from netmesh_controller.engines.arrays import RunArrays
from netmesh_controller.engines.exchange import export_run, import_run, load_arrays
from netmesh_controller.mesh.comparison import Comparison, Side, compare
from netmesh_controller.mesh.findings import find
from netmesh_controller.mesh.matrix import tables

_Made = TypeVar("_Made")


def main() -> None:
    """Prints how long each part takes, the sum, and the most memory that the whole took: of a process of its own."""
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", __name__], check=True)


def _begin() -> None:
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        asyncio.run(_all(Path(folder)))
        print(f"  memory at most: {own_peak() / 1024:,.0f} MB")
        _on_the_terminal(Path(folder))


def _on_the_terminal(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("netmesh-controller")), "report", "after"]
    clock, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"NETMESH_DATA_DIR": str(folder)})
    with peak_of(process.pid) as peak:
        assert process.wait() == 0
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(
        f"  beside these: report on the terminal: {time.perf_counter() - clock:.1f} s, {cpu:.1f} s of CPU, "
        f"{peak.kilobytes / 1024:,.0f} MB at most"
    )


async def _all(folder: Path) -> None:
    for number, name in enumerate(("before", "after"), 1):
        with (
            (folder / f"{name}.jsonl.zst").open("wb") as file,
            zstandard.ZstdCompressor().stream_writer(file) as packed,
        ):
            for chunk in lines(name, seed=number):
                packed.write(chunk)
    store = await open_store(folder)
    begun = time.perf_counter(), time.process_time()
    try:
        await _timed("import into SQLite", lambda: import_run(store, folder / "after.jsonl.zst"))
        after = await _timed("the stored run as arrays", lambda: load_arrays(store, "after"))
        assert after.cells == NODES * (NODES - 1)
        await _timed("matrices", lambda: _now(lambda: tables(after.nodes, after.series)))
        await _timed("findings", lambda: _now(lambda: find(after.nodes, after.series, duration_seconds=5.0)))
        other = str(folder / "before.jsonl.zst")
        before = await _timed("the other run, from its file, as arrays", lambda: load_arrays(store, other))
        said = await _timed("comparison", lambda: _compared(before, after))
        assert [group.verdict for group in said.groups] == ["not distinguishable"]
        took = time.perf_counter() - begun[0], time.process_time() - begun[1]
        print(f"  together: {took[0]:.1f} s, {took[1]:.1f} s of CPU")
        await _timed("beside these: export", lambda: _exported(store, folder / "out.jsonl.zst"))
    finally:
        await store.close()


async def _timed(what: str, work: Callable[[], Awaitable[_Made]]) -> _Made:
    clock, cpu = time.perf_counter(), time.process_time()
    made = await work()
    print(f"  {what}: {time.perf_counter() - clock:.1f} s, {time.process_time() - cpu:.1f} s of CPU", flush=True)
    return made


async def _now(work: Callable[[], _Made]) -> _Made:
    return work()


async def _compared(before: RunArrays, after: RunArrays) -> Comparison:
    return compare([Side(one.run, one.nodes, one.series) for one in (before, after)])


async def _exported(store: Store, path: Path) -> int:
    return await export_run(store, "after", path)


if __name__ == "__main__":
    _begin()
