"""One core is all that takes packets in."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.cpu import falls_short
from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen

_SOFTIRQ_CORES, _BUSIEST = 0.7, 0.95


def judge(seen: Seen) -> Iterator[Claim]:
    """Interrupts took most of a core, and that core had nothing left."""
    for direction in DIRECTIONS:
        cell = seen.cell("tcp-bandwidth", direction, streams=1)
        host = cell.hosts.target if cell is not None else None
        if cell is None or host is None or host.cpu_cores is None:
            continue
        cores = host.cpu_cores
        if not falls_short(seen, direction):
            continue
        if cores.softirq + cores.irq >= _SOFTIRQ_CORES and cores.busiest_core >= _BUSIEST:
            yield Claim(
                {"node": cell.target},
                0.75,
                f"Interrupts keep a core of {cell.target} busy: {cores.softirq + cores.irq:.2f} cores of softirq.",
                (
                    Fact(what="softirq and irq", measured=cores.softirq + cores.irq, unit="cores", source=cell.target),
                    Fact(what="busiest core", measured=cores.busiest_core, expected=1.0, unit="cores"),
                ),
            )


RULE = Rule(
    code="softirq_bound",
    needs=("bandwidth",),
    judge=judge,
    look=(
        "mpstat -P ALL 1",
        "cat /proc/softirqs",
        "ethtool -l DEVICE",
        "cat /sys/class/net/DEVICE/queues/rx-0/rps_cpus",
    ),
    advice="Spread the work: more receive queues (RSS), RPS, GRO on, or larger packets.",
    # What waits for that core waits in a queue, and senders wait for its acknowledgements.
    explains=("cpu_bound_receiver", "cpu_bound_sender", "rate_limited", "asymmetric", "bufferbloat"),
)
