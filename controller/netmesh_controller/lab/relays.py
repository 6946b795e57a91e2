"""Starts and stops the relay of a lab that delays packets, and leads them to it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from netmesh_controller.lab import namespaces, processes, relay
from netmesh_controller.lab.addressing import LabAddresses, fabric_namespace
from netmesh_controller.lab.delay import Delays, delays
from netmesh_controller.lab.errors import LabError
from netmesh_controller.lab.network import device_indexes, feed, with_routes
from netmesh_controller.lab.processes import Process
from netmesh_controller.lab.shaping import BRIDGE
from netmesh_controller.lab.spec import MAX_MTU, LabSpec
from netmesh_controller.lab.state import State

_START_SECONDS = 10.0
# What may wait to be read: at 1 Gbit/s in packets of 1500 bytes 0.1 s.
_TAP_QUEUE = 10_000


def delay(recorded: State, old: LabSpec | None, addresses: LabAddresses, *, dies_with_parent: bool) -> None:
    """Has the lab delay what its spec says; nothing where it did so by `old`, and its relay lives.

    `dies_with_parent`: the relay dies with the thread that calls this. LabError where it cannot be started.
    """
    wanted = delays(recorded.spec, addresses)
    running = recorded.relay is not None and recorded.relay.alive()
    if old is not None and delays(old, addresses) == wanted and running == bool(wanted.devices):
        return
    fabric = fabric_namespace(recorded.name)
    with_routes(fabric, lambda ip: _lead_away(ip, fabric))
    if recorded.relay is not None:
        processes.kill([recorded.relay])
        processes.reap([recorded.relay])
        recorded.relay = None
        recorded.relay_report.unlink(missing_ok=True)
    if wanted.devices:
        command = _command(fabric, recorded.relay_report, wanted, dies_with_parent=dies_with_parent)
        log = recorded.folder / "relay.log"
        recorded.relay = started = processes.start(command, log, None)
        recorded.save()
        with_routes(fabric, lambda ip: _lead_to(ip, fabric, wanted, started, log))


def facts(recorded: State) -> dict[str, Any] | None:
    """What the relay has said of itself, device by device; None without a relay or before its first word."""
    try:
        said: dict[str, Any] = json.loads(recorded.relay_report.read_text())
    except FileNotFoundError:
        return None
    return {"by": "relay", "devices": said}


def _command(fabric: str, report: Path, wanted: Delays, *, dies_with_parent: bool) -> list[str]:
    return [
        *(["setpriv", "--pdeathsig", "KILL", "--"] if dies_with_parent else []),
        *("nsenter", f"--net={namespaces.FOLDER / fabric}", "--"),
        # By its path, not as a part of this package, all of which it would load.
        *(sys.executable, "-I", str(relay.__file__), str(report)),
        *(f"{name}={delay}:{wanted.jitters.get(name, 0)}" for name, delay in wanted.devices.items()),
    ]


def _lead_away(ip: IPRoute, fabric: str) -> None:
    """Takes the filters away, whichever there are."""
    names = {index: name for name, index in device_indexes(ip).items()}
    with_filters = [names[each["index"]] for each in ip.get_qdiscs() if each.get("kind") == "clsact"]
    feed("tc", ["-batch", "-"], "".join(f"qdisc del dev {name} clsact\n" for name in with_filters), fabric)


def _lead_to(ip: IPRoute, fabric: str, wanted: Delays, started: Process, log: Path) -> None:
    """Makes the relay's devices ports of the bridge, once they are there, and sends what is to be delayed to them."""
    deadline = time.monotonic() + _START_SECONDS
    while not wanted.devices.keys() <= (known := device_indexes(ip)).keys():
        if not started.alive() or time.monotonic() > deadline:
            raise LabError(f"delay: the relay does not start: {' '.join(log.read_text(errors='replace').split())}")
        time.sleep(0.005)
    for name in wanted.devices:
        ip.link("set", index=known[name], txqlen=_TAP_QUEUE, mtu=MAX_MTU, master=known[BRIDGE], state="up")
        # A port that frames come from and none go to: addresses stay where they really are.
        ip.brport("set", index=known[name], learning=0, unicast_flood=0, mcast_flood=0, bcast_flood=0)
    feed("tc", ["-batch", "-"], "\n".join([*wanted.queue, ""]), fabric)
