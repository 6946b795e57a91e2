"""What can go wrong, one function each; what is put right before a resume goes into `scene.undo`.

The sweep waits until an action has begun. One that lasts, or has to see more of the sweep, lets it go on by itself.
"""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import psutil
from tests.chaos.scene import Scene
from tests.support.agents import new_identity
from tests.support.clock import SteppedClock

from netmesh_controller.identity.certificates import AGENT_NAME, issue, pair_from

VICTIM = "node-3"
_PAUSE_SECONDS = 4.0
_HOUR = 3600.0


def nothing(scene: Scene) -> None:
    """The control: what is found after this is no fault's."""


def agent_killed(scene: Scene) -> None:
    scene.mesh.kill(VICTIM)
    scene.undo.append(partial(scene.mesh.start, 3))


def agent_stopped(scene: Scene) -> None:
    _pause(scene, *scene.agents(VICTIM))


def agent_slowed(scene: Scene) -> None:
    """It runs for a fifth of the time."""
    for _ in range(30):
        _pause(scene, *scene.agents(VICTIM), seconds=0.08)
        time.sleep(0.02)


def tool_killed(scene: Scene) -> None:
    _sent(scene, signal.SIGKILL)


def tool_stopped(scene: Scene) -> None:
    client = _sent(scene, signal.SIGSTOP)
    time.sleep(_PAUSE_SECONDS)
    with suppress(psutil.NoSuchProcess):
        client.resume()


def controller_killed(scene: Scene) -> None:
    scene.sweep.kill()


def controller_stopped(scene: Scene) -> None:
    _pause(scene, scene.process())


def controller_interrupted(scene: Scene) -> None:
    scene.sweep.send_signal(signal.SIGINT)


def disk_full(scene: Scene) -> None:
    """Not a page of the store's file system is left."""
    ballast = scene.controller.data / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    scene.undo.append(ballast.unlink)


def controller_without_descriptors(scene: Scene) -> None:
    _no_descriptors(scene.process())


def agent_without_descriptors(scene: Scene) -> None:
    for agent in scene.agents(VICTIM):
        before = _no_descriptors(agent)
        scene.undo.append(partial(agent.rlimit, psutil.RLIMIT_NOFILE, before))


def names_gone(scene: Scene) -> None:
    """No name is known any more, and no name server answers."""
    hosts = scene.controller.hosts
    before = hosts.read_text()
    hosts.write_text("")
    scene.undo.append(partial(hosts.write_text, before))


def certificates_swapped(scene: Scene) -> None:
    """The agents of a node come up again with those of another authority."""
    other = new_identity(scene.controller.hosts.parent / "other")
    _certificates(scene, {path.name: path.read_bytes() for path in other.agent.iterdir()})


def certificates_expired(scene: Scene) -> None:
    """The agents of a node come up again with certificates whose time was over yesterday."""
    folder = scene.mesh.identity.directory
    authority = pair_from((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())
    # Its time was over before the authority's began: over is over.
    expired = issue(AGENT_NAME, authority, datetime.now(UTC) - timedelta(days=2), timedelta(days=1))
    _certificates(scene, {"tls.crt": expired.certificate_pem, "tls.key": expired.key_pem})


def agent_clock_ahead(scene: Scene) -> None:
    _step(scene, scene.clock, _HOUR)


def agent_clock_behind(scene: Scene) -> None:
    _step(scene, scene.clock, -_HOUR)


def controller_clock_ahead(scene: Scene) -> None:
    _step(scene, scene.controller.clock, _HOUR)


def controller_clock_behind(scene: Scene) -> None:
    _step(scene, scene.controller.clock, -_HOUR)


def _step(scene: Scene, clock: SteppedClock, seconds: float) -> None:
    """The wall clock is set; before a resume it is right again, which is one step more."""
    clock.step(seconds)
    scene.undo.append(clock.right)


def _certificates(scene: Scene, files: dict[str, bytes]) -> None:
    own = scene.mesh.certificates(3).agent
    before = {name: (own / name).read_bytes() for name in files}

    def put(content: dict[str, bytes]) -> None:
        for name, data in content.items():
            (own / name).write_bytes(data)

    scene.mesh.kill(VICTIM)
    put(files)
    scene.go_on()
    scene.mesh.start(3)
    # Agents read their files again for each new connection.
    scene.undo.append(partial(put, before))


def no_way_to_the_agent(scene: Scene) -> None:
    _drop(scene, "-d", "127.0.0.3", "--dport", "19410:19411")


def no_way_back_from_the_agent(scene: Scene) -> None:
    _drop(scene, "-s", "127.0.0.3", "--sport", "19410:19411")


def _sent(scene: Scene, number: signal.Signals) -> psutil.Process:
    """The signal has come to a tool that sends."""
    scene.go_on()
    while True:
        client = scene.client()
        with suppress(psutil.NoSuchProcess):
            client.send_signal(number)
            return client


def _pause(scene: Scene, *processes: psutil.Process, seconds: float = _PAUSE_SECONDS) -> None:
    for process in processes:
        process.suspend()
    scene.go_on()
    time.sleep(seconds)
    for process in processes:
        process.resume()


def _no_descriptors(process: psutil.Process) -> tuple[int, int]:
    """No file, socket or pipe more than it has now; the limits before."""
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), before[1]))
    return before


def _drop(scene: Scene, *which: str) -> None:
    """In the network of the tests alone: each process of the suite has one of its own."""
    rule = ("INPUT", "-p", "tcp", *which, "-j", "DROP")
    subprocess.run(["iptables", "-w", "-A", *rule], check=True)
    scene.undo.append(partial(subprocess.run, ["iptables", "-w", "-D", *rule], check=True))
