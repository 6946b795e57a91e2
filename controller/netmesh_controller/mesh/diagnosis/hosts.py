"""What both ends said of their network stacks and devices, as facts for people; and what could not be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from netmesh_controller.mesh.diagnosis.document import HostFact
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.state import DEVICE, HostState

# Settings of the network stack, and of the device that traffic goes through.
_SETTINGS = ("congestion_control", "tcp_rmem", "tcp_wmem", "rmem_max", "nf_conntrack_count", "nf_conntrack_max")
_OF_DEVICE = ("mtu", "state", "qdisc", "speed", "duplex", "offloads", "gateway", "neighbours")
# Counters that tell of trouble; those that stood still are no news.
_QUIET = frozenset({"received_bytes", "sent_bytes", "queue_overlimits", "queue_requeues"})
_USUAL = frozenset({"Tcp.OutSegs", "cgroup.periods", "neighbours.complete"})


def host_facts(seen: Seen) -> list[HostFact]:
    """Settings of both ends, what their counters of errors and drops grew by during the diagnosis, and the most that
    each host's cores had to do in one of its tests.
    """
    ends = (seen.source, seen.target)
    return [fact for node in ends for fact in (*_facts(seen, node), *_cores(seen, node))]


def _cores(seen: Seen, node: str) -> Iterator[HostFact]:
    most: dict[str, float] = {}
    for cell in seen.cells:
        for name, host in ((cell.source, cell.hosts.source), (cell.target, cell.hosts.target)):
            cores = host.cpu_cores if host is not None and name == node else None
            if cores is None:
                continue
            found = {"busiest_core": cores.busiest_core, "softirq": cores.softirq + cores.irq, "steal": cores.steal}
            most |= {what: max(value, most.get(what, 0.0)) for what, value in found.items()}
    for name, value in most.items():
        yield HostFact(node=node, where="host", name=name, value=f"{value:.2f} cores at most")


def _facts(seen: Seen, node: str) -> Iterator[HostFact]:
    places: tuple[tuple[Literal["pod", "host"], Mapping[str, HostState], dict[str, int]], ...] = (
        ("pod", seen.after or seen.before, seen.counted(node)),
        ("host", seen.host_after or seen.host_before, seen.counted_on_host(node)),
    )
    for where, states, counted in places:
        state = states.get(node)
        if state is None:
            continue
        for name in ("device", *_SETTINGS, *(DEVICE + one for one in _OF_DEVICE)):
            if name in state.settings:
                shown = " ".join(state.settings[name].split())
                yield HostFact(node=node, where=where, name=name.removeprefix(DEVICE), value=shown)
        for name, count in sorted(counted.items()):
            if count and name.removeprefix(DEVICE) not in _QUIET and name not in _USUAL:
                yield HostFact(node=node, where=where, name=name.removeprefix(DEVICE), value=f"+{count}")


def unseen_hosts(seen: Seen) -> str | None:
    """What of the hosts nobody could see, in words; None where an agent on each host's network told."""
    missing = [node for node in (seen.source, seen.target) if node not in seen.host_after]
    if not missing:
        return None
    return (
        f"errors, drops, queues, offloads, speed and duplex of the own devices of {' and '.join(missing)}: no agent on "
        "the network of the host told"
    )
