"""One sweep of the real controller over simulated agents, and what it cost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.sim.hub import Hub, prepare, simulated
from tests.sim.rounds import barrier_seconds, sequential_seconds
from tests.sim.world import World
from tests.support.peak import peak_of

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.estimate import lower_bound_seconds

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Report:
    """What a simulated sweep was and cost. Times are the machine's; tests took `world.factor` times less than they say.

    `sweep_cpu_seconds` is the controller's from the first test's beginning to the last one's end, `cpu_seconds` of its
    whole life. The makespan and its bound are of the plan's tests, without the `alone` ones after them. `wrong` are the
    cells whose bandwidth is not what the model says of the pair alone, beyond 0.1 %.
    """

    world: World
    code: int
    stderr: str
    document: RunDocument
    ran: int
    alone: int
    makespan_seconds: float
    bound_seconds: float
    sequential_seconds: float
    barrier_seconds: float
    cpu_seconds: float
    sweep_cpu_seconds: float
    peak_rss_bytes: int
    most_at_once: int
    overlaps: int
    most_between_zones: int
    wrong: tuple[str, ...]

    @property
    def over_bound(self) -> float:
        return self.makespan_seconds / self.bound_seconds

    @property
    def cpu_per_measurement(self) -> float:
        return self.sweep_cpu_seconds / max(1, self.ran)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


async def sweep(world: World, *options: str, port: int = 9410, profile: Path | None = None) -> Report:
    """Sweeps a simulated mesh with the controller's command; `options` go to `netmesh-controller sweep`.

    `profile` is a file for what cProfile sees of the controller; it then takes about twice its CPU time.
    """
    with tempfile.TemporaryDirectory(prefix="netmesh-sim-") as name:
        folder = Path(name)
        prepare(world, folder, port)
        network = world.network()
        spent: list[float] = []
        pid = 0
        hub = Hub(network, lambda: spent.append(_cpu_seconds(pid)) if pid and len(hub.ran) % 50 == 0 else None)
        async with simulated(world, folder / "identity" / "agent", folder, hub, port=port):
            profiled = () if profile is None else ("-m", "cProfile", "-o", str(profile))
            command = [
                sys.executable,
                *profiled,
                "-m",
                "netmesh_controller",
                "sweep",
                "--agents",
                str(folder / "agents.yaml"),
            ]
            command += ["--certificates", str(folder / "identity" / "controller"), "--output", str(folder / "run.json")]
            environment = {**os.environ, "NETMESH_DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}
            with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
                process = subprocess.Popen([*command, *options], env=environment, stdout=out, stderr=err)
                pid = process.pid
                try:
                    # Not asyncio's: its watcher would take the child's usage.
                    with peak_of(pid) as peak:
                        _, status, usage = await asyncio.to_thread(os.wait4, pid, 0)
                finally:
                    if process.poll() is None:
                        process.kill()
        output = folder / "run.json"
        stderr = (folder / "err").read_text()
        if not output.exists():
            raise RuntimeError(f"the sweep wrote no run: {stderr}")
        document = RunDocument.model_validate(json.loads(output.read_text()))
        planned = [one for one in hub.ran if not one.alone]
        work = [((one.source, one.target), one.seconds) for one in planned]
        return Report(
            world=world,
            code=os.waitstatus_to_exitcode(status),
            stderr=stderr,
            document=document,
            ran=len(hub.ran),
            alone=len(hub.ran) - len(planned),
            makespan_seconds=max(one.began + one.seconds for one in planned) - min(one.began for one in planned),
            bound_seconds=_bound(work, document, world),
            sequential_seconds=sequential_seconds(planned),
            barrier_seconds=barrier_seconds(planned),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            sweep_cpu_seconds=max(spent, default=0.0) - min(spent, default=0.0),
            peak_rss_bytes=peak.kilobytes * 1024,
            most_at_once=hub.most_at_once,
            overlaps=hub.overlaps,
            most_between_zones=hub.most_between_zones,
            wrong=tuple(_wrong(document, hub)),
        )


def _bound(work: list[tuple[tuple[str, str], float]], document: RunDocument, world: World) -> float:
    """The lower bound of what ran, under the caps that were asked for."""
    ask = ask_from(document.run.plan.asked)
    zones: dict[str, str | None] = {name: world.zone(number) for number, name in enumerate(world.names)}
    return lower_bound_seconds(work, ask.max_concurrent, per_zone_pair=ask.per_zone_pair, zones=zones)


def _wrong(document: RunDocument, hub: Hub) -> list[str]:
    found = []
    for cell in document.cells:
        value = cell.values.get("bits_per_second")
        if cell.outcome != "measured" or value is None:
            continue
        truth = hub.network.alone(cell.source, cell.target)
        if abs(value.mean / truth - 1) > 1e-3:
            found.append(f"{cell.source} to {cell.target}: {value.mean / 1e9:.3f} Gbit/s, alone {truth / 1e9:.3f}")
    return found
