"""What the lab's file means for each network namespace: queues, filters, MTUs. Pure: a spec in, texts out.

Queueing is written as `tc -batch` lines and not through pyroute2, which has no bfifo and whose u32 keys lose leading
zero bytes; the lines are also what `tc qdisc show` prints, so that a person can compare.

Rates count what leaves a device: the IP packet and 14 bytes of Ethernet header, of every packet that a super-packet
of TCP stands for (the kernel's qdisc_pkt_len).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netmesh_controller.lab.addressing import PLACE_NAMES, POD_ROLES, LabAddresses, NodeAddresses
from netmesh_controller.lab.spec import LabSpec, Pair

UPLINK = POD_DEVICE = "eth0"
BRIDGE = "br0"

# What may wait for a shaper: short beside a test, long enough for TCP to fill the link.
QUEUE_SECONDS = 0.015
SMALLEST_QUEUE = 20 * 1514
# Tokens saved up at rest: 2 ms of a fast rate, and up to 64 KiB of a slow one so that a late timer costs nothing, but
# never more than 20 ms of it, which would show in a test of seconds; ten packets at least.
BURST_SECONDS, LONGEST_BURST_SECONDS = 0.002, 0.020
USUAL_BURST, SMALLEST_BURST = 64 * 1024, 10 * 1514


@dataclass(frozen=True)
class Device:
    """One device: its MTU in bytes, its queue (`tc` lines), and whether it hands on single packets only.

    To a rule that drops packets, one of TCP's super-packets is one packet, and a very large one. Pods and nodes that
    send through such rules therefore cut them up where they leave, as a network card does.
    """

    mtu: int = 1500
    queue: tuple[str, ...] = ()
    single_packets: bool = False


@dataclass(frozen=True)
class Shape:
    """What is set in one namespace. Rules are what it drops of all that reaches it: the table raw.

    `routed`: on a node, the nodes that it sends to by way of the fabric, which is a router then. In the fabric: the
    bytes that an IP packet may have that is routed to a node (`room`), or to it from a certain other (`narrow`).
    """

    devices: dict[str, Device] = field(default_factory=dict)
    rules_v4: tuple[str, ...] = ()
    rules_v6: tuple[str, ...] = ()
    routed: frozenset[str] = frozenset()
    room: dict[str, int] = field(default_factory=dict)
    narrow: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeShape:
    """A node's namespace, and the one that its two pods have alike."""

    node: Shape
    pod: Shape


def burst_bytes(rate: int) -> int:
    """The tokens that a shaper of this rate (bits a second) saves up, in bytes."""
    slow = min(USUAL_BURST, round(rate * LONGEST_BURST_SECONDS / 8))
    return max(SMALLEST_BURST, slow, round(rate * BURST_SECONDS / 8))


def queue_bytes(rate: int) -> int:
    """The bytes that may wait for a shaper of this rate (bits a second)."""
    return max(SMALLEST_QUEUE, round(rate * QUEUE_SECONDS / 8))


def fabric_shape(spec: LabSpec, addresses: LabAddresses) -> Shape:
    """The bridge's ports: what reaches a node is shaped where it leaves the bridge. And the router between nodes."""
    here_v4 = {node: each.here_v4() for node, each in addresses.nodes.items()}
    here_v6 = {node: each.here_v6() for node, each in addresses.nodes.items()}
    widest = max(spec.link(node).mtu for node in spec.names())
    return Shape(
        devices={node: Device(spec.link(node).mtu, tbf(node, spec.uplink_rate(node, "in"))) for node in spec.names()},
        rules_v4=rules(spec, None, here_v4),
        rules_v6=rules(spec, None, here_v6),
        room={node: spec.link(node).mtu for node in spec.names() if spec.link(node).mtu < widest},
        narrow={
            (pair.source, pair.target): min(pair.drop_larger_than, spec.link(pair.target).mtu)
            for pair in spec.pairs
            if pair.drop_larger_than is not None and pair.icmp
        },
    )


def node_shape(spec: LabSpec, node: str, addresses: LabAddresses) -> NodeShape:
    """A node and its pods."""
    mtu, pod_rate = spec.link(node).mtu, spec.pod_rate(node)
    pairs = [pair for pair in spec.pairs if pair.source == node]
    single = node in spec.lossy_sources()
    devices = {UPLINK: Device(mtu, uplink_queue(spec, node, pairs, addresses), single)}
    for role in POD_ROLES:
        name = PLACE_NAMES[role]
        devices[name] = Device(mtu, tbf(name, pod_rate))
    return NodeShape(
        node=Shape(
            devices=devices,
            rules_v4=rules(spec, node, {name: each.here_v4() for name, each in addresses.nodes.items()}),
            rules_v6=rules(spec, node, {name: each.here_v6() for name, each in addresses.nodes.items()}),
            routed=frozenset(
                {pair.target for pair in pairs if pair.drop_larger_than is not None and pair.icmp}
                | {other for other in spec.names() if spec.link(other).mtu < mtu}
            ),
        ),
        pod=Shape(devices={POD_DEVICE: Device(mtu, tbf(POD_DEVICE, pod_rate), single)}),
    )


def tbf(device: str, rate: int) -> tuple[str, ...]:
    """A device that sends at `rate` bits a second (tc-tbf(8))."""
    return (
        f"qdisc add dev {device} root handle 1: tbf rate {rate}bit burst {burst_bytes(rate)} limit {queue_bytes(rate)}",
    )


def uplink_queue(spec: LabSpec, node: str, pairs: list[Pair], addresses: LabAddresses) -> tuple[str, ...]:
    """A node's uplink: one rate, or below it a class for each pair that has a rate of its own (tc-htb(8))."""
    rate = spec.uplink_rate(node, "out")
    limited = [(pair, min(pair.rate, rate)) for pair in pairs if pair.rate is not None]
    if not limited:
        return tbf(UPLINK, rate)
    # Guaranteed rates add up to the uplink's at most, or the classes together would exceed it.
    share = rate // (len(limited) + 1)
    lines = [
        f"qdisc add dev {UPLINK} root handle 2: htb default 10",
        f"class add dev {UPLINK} parent 2: classid 2:1 {_htb(rate, rate)}",
        *_leaf(0x10, share, rate),
    ]
    for minor, (pair, ceiling) in enumerate(limited, start=0x100):
        target: NodeAddresses = addresses.nodes[pair.target]
        lines += _leaf(minor, min(share, ceiling), ceiling)
        for prefix in (*target.here_v4(), *target.here_v6()):
            lines.append(f"filter add dev {UPLINK} parent 2: {u32(prefix)} flowid 2:{minor:x}")
    return tuple(lines)


def _htb(rate: int, ceiling: int) -> str:
    burst = burst_bytes(ceiling)
    return f"htb rate {rate}bit ceil {ceiling}bit burst {burst} cburst {burst} quantum 60000"


def _leaf(minor: int, rate: int, ceiling: int) -> list[str]:
    """A class and the queue in it; htb's own would be counted in packets, which may be super-packets."""
    return [
        f"class add dev {UPLINK} parent 2:1 classid 2:{minor:x} {_htb(rate, ceiling)}",
        f"qdisc add dev {UPLINK} parent 2:{minor:x} handle {minor:x}: bfifo limit {queue_bytes(ceiling)}",
    ]


def u32(target: str, source: str | None = None) -> str:
    """A filter (tc-u32(8)) for what goes to a prefix, and comes from one of the same family."""
    protocol, word = ("ipv6 prio 6", "ip6") if ":" in target else ("ip prio 4", "ip")
    return f"protocol {protocol} u32 match {word} dst {target}{f' match {word} src {source}' if source else ''}"


def rules(spec: LabSpec, node: str | None, here: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """The rules that drop what reaches a node, as lines of iptables-restore; None: what reaches the controller's place.

    `here`: every node's prefixes. All loss is where packets arrive, also that of a link's way out: what is dropped at
    its sender a program there is told of (EPERM of sendmsg), which the network does not do.
    """
    # The fabric may also route, but drops only what is meant for itself.
    place = f"-i {UPLINK}" if node is not None else f"-i {BRIDGE} -m addrtype --dst-type LOCAL"
    lines = []

    def drop(source: str | None, match: str) -> None:
        for prefix in here[source] if source is not None else (None,):
            lines.append(f"-A PREROUTING {place}{f' -s {prefix}' if prefix else ''} {match} -j DROP")

    for pair in spec.pairs:
        if pair.target == node and pair.drop_larger_than is not None and not pair.icmp:
            drop(pair.source, f"-m length --length {pair.drop_larger_than + 1}:65535")
        if pair.target == node and pair.loss:
            drop(pair.source, _random(pair.loss))
    for source, link in spec.links.items():
        if source != node and link.loss and link.holds("out"):
            drop(source, _random(link.loss))
    if node is not None and spec.link(node).loss and spec.link(node).holds("in"):
        drop(None, _random(spec.link(node).loss))
    return tuple(lines)


def _random(ratio: float) -> str:
    return f"-m statistic --mode random --probability {ratio:.10f}"


def table(lines: tuple[str, ...], *, v6: bool) -> str:
    """A whole table raw for iptables-restore: it replaces what was there, all at once.

    Neighbour discovery is let through as ARP is: loss one way must not cut the other.
    """
    neighbours = [f"-A PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT" for kind in (135, 136)]
    rules_first = neighbours if v6 and lines else []
    return "\n".join(["*raw", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *rules_first, *lines, "COMMIT", ""])
