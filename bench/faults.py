"""Faults that a lab of four nodes can have between node-1 and node-2, put into it while it runs and taken out again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from bench.host_faults import (
    Put,
    between,
    costly_packets,
    shell,
    slow_pods,
    small_socket,
    stopped_agent,
)
from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.lab.addressing import Where

NODES = 4
TOOLS = "61863:61870"


@dataclass(frozen=True)
class Fault:
    """A shape of the lab, what is done to it beside (`put`), and the verdicts that name it. `whole_only`: a quick
    diagnosis has no step that shows it. `in_ci`: it is tried with every change.
    """

    name: str
    shape: str
    right: tuple[str, ...]
    put: Put = nullcontext
    whole_only: bool = False
    in_ci: bool = True


@contextmanager
def present(fault: Fault, lab: Lab) -> Iterator[None]:
    """The lab with the fault, and afterwards without."""
    labs.set_lab(lab.name, labs.load_spec(f"nodes: {NODES}\n{fault.shape}"))
    try:
        with fault.put(lab):
            yield
    finally:
        labs.set_lab(lab.name, labs.load_spec(f"nodes: {NODES}"))


def _dropped(protocol: str, ports: str, how: str) -> Put:
    rule = f"INPUT -p {protocol} --dport {ports} -j {how}"
    return between("node-2", "agent", f"iptables -I {rule}", f"iptables -D {rule}")


def _small_window(largest: int) -> Put:
    """Node-2 receives with buffers of so many bytes at most."""

    @contextmanager
    def put(lab: Lab) -> Iterator[None]:
        usual = shell(lab, "node-2", "agent", "cat /proc/sys/net/ipv4/tcp_rmem").strip()
        small = f"sysctl -qw net.ipv4.tcp_rmem='4096 {largest // 2} {largest}'"
        with between("node-2", "agent", small, f"sysctl -qw net.ipv4.tcp_rmem='{usual}'")(lab):
            yield

    return put


@contextmanager
def _slow_service(lab: Lab) -> Iterator[None]:
    """Rules that only connections to this one Service walk through."""
    rules = [f"-A nm-slow -s 192.0.2.{one % 250}/32 -m comment --comment {one} -j RETURN" for one in range(12_000)]
    way = f"PREROUTING -d {lab.service_address('node-2', 'pod', 4)}/32 -p tcp -j nm-slow"
    table = "\n".join(["*nat", ":nm-slow - [0:0]", *rules, f"-I {way}", "COMMIT", ""])
    undo = f"iptables -t nat -D {way}; iptables -t nat -F nm-slow; iptables -t nat -X nm-slow"
    with between("node-1", "host", "iptables-restore --noflush", undo, table)(lab):
        yield


@contextmanager
def _running(lab: Lab, node: str, where: Where, *commands: str) -> Iterator[None]:
    """Programs that run at that place meanwhile."""
    started = [
        subprocess.Popen(
            labs.exec_argv(lab.name, node, where, ["sh", "-c", f"exec {one}"]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in commands
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


@contextmanager
def _bulk_flow(lab: Lab) -> Iterator[None]:
    address = next(one.address for one in lab.targets() if (one.node, one.role) == ("node-2", "peer"))
    with _running(lab, "node-2", "peer", "iperf3 -s -p 7001"):
        until = time.monotonic() + 10
        while ":7001" not in shell(lab, "node-2", "peer", "ss -Htln"):
            if time.monotonic() > until:
                raise TimeoutError("iperf3 does not listen")
            time.sleep(0.02)
        with _running(lab, "node-3", "agent", f"iperf3 -c {address} -p 7001 -u -b 80M -t 600"):
            yield


@contextmanager
def _long_queue(lab: Lab) -> Iterator[None]:
    """A shaper at the sender's node that has room for 0.3 s, and a sender that fills it at once: Reno's slow start ends
    with the first loss. The lab's next shape replaces the shaper.
    """
    shaper = "tbf rate 90mbit burst 64kb limit 4000000"
    usual = shell(lab, "node-1", "agent", "cat /proc/sys/net/ipv4/tcp_congestion_control").strip()
    setting = "sysctl -qw net.ipv4.tcp_congestion_control"
    with (
        between("node-1", "host", f"tc qdisc replace dev eth0 root {shaper}", ":")(lab),
        between("node-1", "agent", f"{setting}=reno", f"{setting}={usual}")(lab),
    ):
        yield


def _pair(rest: str, *, source: int = 1, target: int = 2) -> str:
    return f"pairs: [{{from: node-{source}, to: node-{target}, {rest}}}]"


def _zones(rate: str = "") -> str:
    crossing = [(1, 2), (1, 4), (3, 2), (3, 4)]
    slow = ", ".join(f"{{from: node-{one}, to: node-{other}, rate: {rate}}}" for one, other in crossing)
    return "zones: {a: [node-1, node-3], b: [node-2, node-4]}" + (f"\npairs: [{slow}]" if rate else "")


HEALTHY = ("healthy",)


def _links(each: str) -> str:
    return "links: {" + ", ".join(f"node-{number}: {{{each}}}" for number in range(1, NODES + 1)) + "}"


_SLOW_LINKS = _links("rate: 100M")
CONTROLS = (
    Fault("healthy", "", HEALTHY),
    Fault("healthy, two zones", _zones(), HEALTHY),
    Fault("healthy, 100 Mbit/s everywhere", _SLOW_LINKS, HEALTHY),
)
FAULTS = (
    Fault("a pair shaped", _pair("rate: 50M"), ("rate_limited",)),
    Fault("a pair shaped back", _pair("rate: 50M", source=2, target=1), ("rate_limited",)),
    Fault("a node shaped out", "links: {node-1: {rate: 50M, direction: out}}", ("slow_node",)),
    Fault("a node shaped in", "links: {node-2: {rate: 50M, direction: in}}", ("slow_node",)),
    Fault("two zones shaped", _zones("50M"), ("slow_zone_pair",)),
    Fault("loss one way", _pair("loss: 0.02"), ("loss_on_path",)),
    Fault("loss back", _pair("loss: 0.02", source=2, target=1), ("loss_on_path",)),
    Fault("a black hole", _pair("drop_larger_than: 1300, icmp: false"), ("mtu_black_hole",)),
    Fault("large packets refused", _pair("drop_larger_than: 1400, icmp: true"), ("mtu_mismatch",)),
    Fault("a narrow link", "links: {node-2: {mtu: 1400}}", ("mtu_mismatch",)),
    Fault("TCP dropped", "", ("blocked",), _dropped("tcp", TOOLS, "DROP")),
    Fault("TCP refused", "", ("blocked",), _dropped("tcp", TOOLS, "REJECT --reject-with tcp-reset")),
    Fault("UDP dropped", "", ("blocked",), _dropped("udp", "61862", "DROP")),
    Fault("a CPU limit", "pods: {node-2: {cpu: 0.1}}", ("throttled",)),
    Fault("a CPU limit at the sender", "pods: {node-1: {cpu: 0.1}}", ("throttled",)),
    Fault("delay", _pair("delay: 5ms"), ("delay_on_path",)),
    Fault("delay of a node", "links: {node-2: {delay: 5ms, direction: in}}", ("slow_node",)),
    Fault("nothing one way", _pair("loss: 1.0"), ("unreachable",)),
    Fault("an agent stopped", "", ("unreachable",), stopped_agent),
    Fault("a small window", _pair("delay: 5ms"), ("window_limited", "delay_on_path"), _small_window(32768)),
    Fault(
        "a small window, all far apart",
        _links("rate: 100M, delay: 2ms, direction: in"),
        ("window_limited",),
        _small_window(16384),
    ),
    Fault("jitter", _pair("jitter: 4ms"), ("jitter_on_path",)),
    Fault("a full socket", "", ("loss_at_host",), small_socket),
    # Of one kernel: what a receiver's interrupts take, the sender's program waits for.
    Fault("costly packets", "", ("softirq_bound", "cpu_bound_sender"), costly_packets, in_ci=False),
    Fault("slow pods", "", ("overlay_cost",), slow_pods, whole_only=True, in_ci=False),
    Fault("a slow Service", "", ("service_cost",), _slow_service),
    Fault("a bulk flow", _SLOW_LINKS, ("contention",), _bulk_flow),
    Fault("a long queue", _SLOW_LINKS, ("bufferbloat", "slow_node"), _long_queue),
)
