"""One core is all that takes packets in."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.cpu import falls_short
from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rates import TEST, VALUE
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen, figure, opposite
from netmesh_controller.mesh.document import Cell, CpuCores, Host
from netmesh_controller.mesh.statistics import median

_SOFTIRQ_CORES, _BUSIEST = 0.7, 0.95
# Interrupts that wander from core to core leave no one full. As many as a whole core's are enough where each bit costs
# so many times what it costs the receivers of other pairs, since one that is held back costs no more; and where they
# are not there anyway: the node has fewer while it sends.
_WHOLE_CORE, _COSTLIER, _OVER_SENDING = 0.9, 2.0, 1.5


def judge(seen: Seen) -> Iterator[Claim]:
    """Interrupts took most of a core, and that core had nothing left, or each bit cost it far more than elsewhere."""
    usual = [cost for cell in seen.others_cells(TEST) if (cost := _cost(cell)) is not None]
    for direction in DIRECTIONS:
        cell = seen.cell(TEST, direction, streams=1)
        cores = None if cell is None else _cores(cell.hosts.target)
        if cell is None or cores is None or not falls_short(seen, direction):
            continue
        spent, cost = cores.softirq + cores.irq, _cost(cell)
        costlier = cost / median(usual) if cost is not None and usual and median(usual) > 0 else 0.0
        back = seen.cell(TEST, opposite(direction), streams=1)
        sending = None if back is None else _cores(back.hosts.source)
        own = sending is None or spent >= _OVER_SENDING * (sending.softirq + sending.irq)
        full = spent >= _SOFTIRQ_CORES and cores.busiest_core >= _BUSIEST
        if full or (spent >= _WHOLE_CORE and costlier >= _COSTLIER and own):
            more = f", {costlier:.1f} times as much a bit as at other receivers" if costlier >= _COSTLIER else ""
            yield Claim(
                {"node": cell.target},
                0.75,
                f"Interrupts keep a core of {cell.target} busy: {spent:.2f} cores of softirq{more}.",
                (
                    Fact(what="softirq and irq", measured=spent, unit="cores", source=cell.target),
                    Fact(what="busiest core", measured=cores.busiest_core, expected=1.0, unit="cores"),
                    Fact(what="softirq a bit, over that of other receivers", measured=costlier or None, expected=1.0),
                ),
            )


def _cores(host: Host | None) -> CpuCores | None:
    return None if host is None else host.cpu_cores


def _cost(cell: Cell) -> float | None:
    """Cores of interrupts at the receiver for each bit a second."""
    cores, rate = _cores(cell.hosts.target), figure(cell, VALUE)
    return None if cores is None or not rate else (cores.softirq + cores.irq) / rate


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
