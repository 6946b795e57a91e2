"""What the rules on loss ask: how much is lost which way, and whether an end's own counters account for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Direction, Seen, opposite

# What a host counts of packets that reached it and were given up there.
HOST_DROPS = ("Udp.RcvbufErrors", "Udp.InErrors", "Ip.InDiscards", "softnet.dropped", "TcpExt.TCPBacklogDrop")
# The same of the host's own device, where an agent sees it: no room in its ring, no memory.
DEVICE_DROPS = ("device.received_drops", "device.missed_errors", "device.fifo_errors", "device.overrun_errors")
# What a device counts of packets that reached it broken: the fault is the wire's.
DEVICE_ERRORS = ("device.received_errors", "device.crc_errors", "device.frame_errors")
# Fewer lost probes may be chance, or the probe's own end.
_FEWEST = 3
_RATIO = 0.001


@dataclass(frozen=True, slots=True)
class Lost:
    """Of `sent` probes, `ratio` were lost on the way of `direction`; with `no_room`, on either way.

    The receiving host gave up `at_target` packets while they were sent, None where it did not tell; `no_room` of them
    at the probes' own socket, which counts for itself and leaves no loss by direction. What it gave up while other
    steps filled the path says nothing about the probes.
    """

    direction: Direction
    ratio: float
    sent: float
    at_target: int | None
    no_room: int = 0

    @property
    def is_hosts(self) -> bool:
        """Whether the receiving host's own counters explain at least half of it."""
        return self.at_target is not None and self.at_target >= max(1.0, 0.5 * self.ratio * self.sent)


def losses(seen: Seen) -> Iterator[Lost]:
    """The ways on which probes are lost, more than chance."""
    for direction in DIRECTIONS:
        no_room, unanswered, asked = _no_room(seen, direction)
        if no_room >= _FEWEST and _FEWEST <= unanswered <= 2 * no_room and unanswered >= _RATIO * asked:
            # What the path lost beside it, if anything, is told by the probes of the other end.
            yield Lost(direction, unanswered / asked, asked, no_room, no_room)
        ratio, sent = _ratio_and_sent(seen, direction)
        if ratio is None or sent is None or ratio < _RATIO or ratio * sent < _FEWEST:
            continue
        target = seen.ends(direction)[1]
        counted, on_host = seen.probed.get(target, {}), seen.host_probed.get(target, {})
        known = [counted[name] for name in HOST_DROPS if name in counted and not _twice(name, counted)]
        known += [on_host[name] for name in DEVICE_DROPS if name in on_host]
        # Of a full socket is told above, and the probes of this figure are not among them.
        yield Lost(direction, ratio, sent, max(0, sum(known) - no_room) if known else None)


def _twice(name: str, counted: Mapping[str, int]) -> bool:
    """Whether another counter has those packets as well (udp_queue_rcv_skb in net/ipv4/udp.c)."""
    return name == "Udp.RcvbufErrors" and "Udp.InErrors" in counted


def earlier_loss(seen: Seen) -> Iterator[Fact]:
    """What was lost in earlier runs, both ways together, as evidence; nothing where nobody knows."""
    past = seen.earlier("udp-latency", "loss_ratio", instrument="stamp")
    if past is not None:
        yield Fact(what="loss before, both ways", measured=past[0], source=past[1])


def _ratio_and_sent(seen: Seen, direction: Direction) -> tuple[float | None, float | None]:
    """Of the probes of either end: those that it sent itself, and the answers to it."""
    for asked, name in ((direction, "forward_loss_ratio"), (opposite(direction), "return_loss_ratio")):
        cell = seen.cell("udp-latency", asked, instrument="stamp")
        summary = None if cell is None or cell.outcome != "measured" else cell.values.get(name)
        if summary is not None and cell is not None:
            rate = cell.parameters.offered_per_second or 0
            return summary.mean, float(rate * (cell.duration_seconds or 0))
    return None, None


def _no_room(seen: Seen, direction: Direction) -> tuple[int, float, float]:
    """Packets that found the receiver's socket full: probes of that direction at its reflector, answers to its own.

    Then how many of these probes had no answer, and how many there were; a full socket may have dropped more packets,
    since some that are no probes follow them.
    """
    drops, unanswered, sent = 0.0, 0.0, 0.0
    for asked, name in ((direction, "reflector_socket_drops"), (opposite(direction), "socket_drops")):
        found = seen.reported("udp-latency", name, asked, instrument="stamp")
        own, answers = (seen.reported("udp-latency", one, asked, instrument="stamp") for one in ("sent", "received"))
        if found and own is not None and answers is not None:
            drops, unanswered, sent = drops + found, unanswered + own - answers, sent + own
    return int(drops), unanswered, sent
