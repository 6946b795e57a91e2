"""Faults put into labs, and what `diagnose` says first: each 5 times (NETMESH_BENCH_RUNS), and healthy controls."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.lab.addressing import Where
from netmesh_controller.mesh.diagnosis.document import Diagnosis

RUNS = int(os.environ.get("NETMESH_BENCH_RUNS", "5"))
QUICK = os.environ.get("NETMESH_BENCH_QUICK") == "1"
TOOLS = "61863:61870"


@dataclass(frozen=True)
class Fault:
    """A lab of four nodes with a fault, and the verdicts that name it.

    `prepare` changes the running lab; `beside` is what runs in it while it is diagnosed, at a node's place.
    """

    name: str
    lab: str
    right: tuple[str, ...]
    prepare: Callable[[Lab], None] | None = None
    beside: Callable[[Lab], tuple[str, Where, str]] | None = None


def _sh(lab: Lab, node: str, where: Where, command: str, text: str | None = None) -> None:
    subprocess.run(labs.exec_argv(lab.name, node, where, ["sh", "-c", command]), input=text, text=True, check=True)


def _drop(protocol: str, ports: str, how: str) -> Callable[[Lab], None]:
    return lambda lab: _sh(lab, "node-2", "agent", f"iptables -I INPUT -p {protocol} --dport {ports} -j {how}")


def _stop_agent(lab: Lab) -> None:
    _sh(lab, "node-2", "agent", "kill -STOP -1")


def _small_window(lab: Lab) -> None:
    _sh(lab, "node-2", "agent", "sysctl -qw net.ipv4.tcp_rmem='4096 16384 32768'")


def _slow_service(lab: Lab) -> None:
    """Rules that only connections to this one Service walk through."""
    rules = [
        f"-A nm-slow -s 192.0.2.{number % 250}/32 -m comment --comment {number} -j RETURN" for number in range(4000)
    ]
    address = lab.service_address("node-2", "pod", 4)
    table = ["*nat", ":nm-slow - [0:0]", *rules, f"-I PREROUTING -d {address}/32 -p tcp -j nm-slow", "COMMIT", ""]
    _sh(lab, "node-1", "host", "iptables-restore --noflush", "\n".join(table))


def _address(lab: Lab, node: str, role: str) -> str:
    return next(target.address for target in lab.targets() if (target.node, target.role) == (node, role))


def _bulk_server(lab: Lab) -> None:
    _sh(lab, "node-2", "peer", "iperf3 -s -p 7001 -D")


def _bulk_flow(lab: Lab) -> tuple[str, Where, str]:
    return "node-3", "agent", f"exec iperf3 -c {_address(lab, 'node-2', 'peer')} -p 7001 -u -b 80M -t 120"


def _pair(rest: str, *, source: int = 1, target: int = 2) -> str:
    return f"pairs: [{{from: node-{source}, to: node-{target}, {rest}}}]"


HEALTHY = ("healthy",)
SLOW_LINKS = ", ".join(f"node-{number}: {{rate: 100M}}" for number in range(1, 5))
FAULTS = (
    Fault("healthy", "", HEALTHY),
    Fault("healthy, two zones", "zones: {a: [node-1, node-3], b: [node-2, node-4]}", HEALTHY),
    Fault("healthy, 100 Mbit/s everywhere", f"links: {{{SLOW_LINKS}}}", HEALTHY),
    Fault("a pair shaped", _pair("rate: 50M"), ("rate_limited",)),
    Fault("a pair shaped back", _pair("rate: 50M", source=2, target=1), ("rate_limited",)),
    Fault("a node shaped out", "links: {node-1: {rate: 50M, direction: out}}", ("slow_node",)),
    Fault("a node shaped in", "links: {node-2: {rate: 50M, direction: in}}", ("slow_node",)),
    Fault("loss one way", _pair("loss: 0.02"), ("loss_on_path",)),
    Fault("loss back", _pair("loss: 0.02", source=2, target=1), ("loss_on_path",)),
    Fault("a black hole", _pair("drop_larger_than: 1300, icmp: false"), ("mtu_black_hole",)),
    Fault("large packets refused", _pair("drop_larger_than: 1400, icmp: true"), ("mtu_mismatch",)),
    Fault("a narrow link", "links: {node-2: {mtu: 1400}}", ("mtu_mismatch",)),
    Fault("TCP dropped", "", ("blocked",), _drop("tcp", TOOLS, "DROP")),
    Fault("TCP refused", "", ("blocked",), _drop("tcp", TOOLS, "REJECT --reject-with tcp-reset")),
    Fault("UDP dropped", "", ("blocked",), _drop("udp", "61862", "DROP")),
    Fault("a CPU limit", "pods: {node-2: {cpu: 0.05}}", ("throttled",)),
    Fault("a CPU limit at the sender", "pods: {node-1: {cpu: 0.05}}", ("throttled",)),
    Fault("delay", _pair("delay: 5ms"), ("delay_on_path",)),
    Fault("delay of a node", "links: {node-2: {delay: 5ms, direction: in}}", ("slow_node", "delay_on_path")),
    Fault("nothing one way", _pair("loss: 1.0"), ("unreachable",)),
    Fault("an agent stopped", "", ("unreachable",), _stop_agent),
    Fault("a small window", _pair("delay: 5ms"), ("window_limited", "delay_on_path"), _small_window),
    Fault("a slow Service", "", ("service_cost",), _slow_service),
    Fault("a bulk flow", "links: {node-2: {rate: 100M}}", ("contention",), _bulk_server, _bulk_flow),
)


def main() -> None:
    """Prints a line a fault as it ends: how many were right, and which verdicts came first; then the whole."""
    right = alarms = faults = controls = 0
    seconds: list[float] = []
    print(f"  {'fault':32} right  first verdicts")
    for fault in FAULTS:
        first = Counter(_diagnose(fault, seconds) for _ in range(RUNS))
        hits = sum(first[code] for code in fault.right)
        if fault.right == HEALTHY:
            controls, alarms = controls + RUNS, alarms + RUNS - hits
        else:
            faults, right = faults + RUNS, right + hits
        said = ", ".join(f"{code} {count}" for code, count in first.most_common())
        print(f"  {fault.name:32} {hits}/{RUNS}    {said}", flush=True)
    print(f"  right first verdict {right}/{faults} (goal 95 %), false alarms {alarms}/{controls} (goal 5 %)")
    print(f"  median {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s (goal: median 60 s)")
    print(f"  machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def _diagnose(fault: Fault, seconds: list[float]) -> str:
    with _lab(fault) as running, tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        command = [sys.executable, "-m", "netmesh_controller", "diagnose", "node-1", "node-2", "--lab", running.name]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--format", "json", *(["--quick"] if QUICK else [])],
            env={**os.environ, "NETMESH_DATA_DIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds.append(time.monotonic() - began)
        if not done.stdout:
            return f"exit code {done.returncode}: {done.stderr.strip()}"
        return Diagnosis.model_validate_json(done.stdout).verdicts[0].code


@contextmanager
def _lab(fault: Fault) -> Iterator[Lab]:
    spec = labs.load_spec(f"nodes: 4\n{fault.lab}")
    with labs.up(spec, f"nm-bench-{os.getpid()}", ephemeral=True) as running, ExitStack() as beside:
        if fault.prepare is not None:
            fault.prepare(running)
        if fault.beside is not None:
            node, where, command = fault.beside(running)
            process = subprocess.Popen(_argv(running, node, where, command), stdout=subprocess.DEVNULL)
            beside.callback(process.wait)
            beside.callback(process.terminate)
        yield running


def _argv(lab: Lab, node: str, where: Where, command: str) -> Sequence[str]:
    return labs.exec_argv(lab.name, node, where, ["sh", "-c", command])
