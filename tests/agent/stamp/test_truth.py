"""What STAMP says of a network, beside what captures at both of its ends say of the same packets."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.measures, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

PORT, SSID = 61862, 77
NEAR, FAR = "10.213.0.1", "10.213.0.2"
FORWARD_DELAY, RETURN_DELAY = 3_000_000, 1_000_000
WIRE = str(Path(__file__).with_name("wire.py"))
MICROSECOND = 1e-6


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@dataclass
class Network:
    """Two namespaces, `near` with the sender and `far` with the reflector, and the processes in them."""

    name: str
    relay: bool
    near: str = field(init=False)
    far: str = field(init=False)
    middle: str = field(init=False)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.near, self.far, self.middle = (f"{self.name}{letter}" for letter in "abm")

    def inside(self, namespace: str, *command: str) -> subprocess.Popen[str]:
        # nsenter, since ip(8) hides the control groups.
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{namespace}", *command], stdout=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process

    def stamp(self, namespace: str, *options: str) -> subprocess.Popen[str]:
        place = ("--address", FAR, "--port", str(PORT), "--ssid", str(SSID))
        role, *rest = options
        return self.inside(namespace, sys.executable, "-m", "netmesh_agent.stamp.measure", role, *place, *rest)

    def reflector(self) -> subprocess.Popen[str]:
        process = self.stamp(self.far, "reflect")
        table = Path(f"/proc/{process.pid}/net/udp")
        until = time.monotonic() + 20
        while f":{PORT:04X} " not in table.read_text():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        return process

    def capture(self) -> list[tuple[bool, subprocess.Popen[str]]]:
        """Captures near (True) and far, at both ends of the link; with a relay, where each cable's packets arrive."""
        places = [(True, self.near, "nmst0"), (False, self.far, "nmst0")]
        if self.relay:
            places += [(True, self.middle, "nmst0"), (False, self.middle, "nmst1")]
        captures = []
        for near, namespace, device in places:
            options = (device, str(PORT), "in" if self.relay else "all")
            process = self.inside(namespace, sys.executable, WIRE, "capture", *options)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            captures.append((near, process))
        return captures


@contextmanager
def network(*, relay: bool) -> Iterator[Network]:
    """Joined by a veth pair, or by two with a relay between them."""
    made = Network(f"nmst{os.getpid()}", relay)
    middle = made.middle
    with ExitStack() as stack:

        def remove(namespace: str) -> None:
            with suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", namespace)

        def end() -> None:
            for process in made.running:
                process.kill()
                process.communicate()

        for namespace in (made.near, made.far, *([middle] if relay else [])):
            run("ip", "netns", "add", namespace)
            stack.callback(remove, namespace)
        stack.callback(end)
        ends = ((made.near, NEAR), (made.far, FAR))
        if relay:
            for number, (namespace, _) in enumerate(ends):
                run(
                    *("ip", "link", "add", "nmst0", "netns", namespace, "type", "veth"),
                    *("peer", "name", f"nmst{number}", "netns", middle),
                )
                run("ip", "-n", middle, "link", "set", f"nmst{number}", "up")
        else:
            run(*f"ip link add nmst0 netns {made.near} type veth peer name nmst0 netns {made.far}".split())
        for namespace, address in ends:
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "nmst0")
            run("ip", "-n", namespace, "link", "set", "nmst0", "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        if relay:
            delays = ("nmst0", str(FORWARD_DELAY), "nmst1", str(RETURN_DELAY))
            process = made.inside(middle, sys.executable, WIRE, "relay", *delays)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield made


@dataclass
class Truth:
    """By captures, of each probe that both of them saw: network round trip and the ways of it, in seconds, sorted."""

    network: list[float]
    forward: list[float]
    back: list[float]


def told(process: subprocess.Popen[str]) -> Any:
    process.terminate()
    return json.loads(process.communicate(timeout=20)[0])


def truth(captures: list[tuple[bool, subprocess.Popen[str]]], answer: Any) -> Truth:
    """The captures' word on the very packets that the `answer` counts: not the warm-up's, nor those that end a test."""
    counted = {port["port"]: port["sent"] for port in answer["ports"]}
    seen: dict[str, dict[str, int]] = {}
    for near, process in captures:
        for stamp, source, payload in told(process):
            if int(payload[28:32], 16) != SSID:
                continue
            # A probe's own stamp names it, in the request and in its answer.
            if source == PORT:
                seen.setdefault(payload[56:72], {})["t4" if near else "t3"] = stamp
            elif int(payload[:8], 16) < counted[source]:
                seen.setdefault(payload[8:24], {})["t1" if near else "t2"] = stamp
    whole = [probe for probe in seen.values() if len(probe) == 4]
    assert len(whole) > 100
    return Truth(
        sorted(((p["t4"] - p["t1"]) - (p["t3"] - p["t2"])) * 1e-9 for p in whole),
        sorted((p["t2"] - p["t1"]) * 1e-9 for p in whole),
        sorted((p["t4"] - p["t3"]) * 1e-9 for p in whole),
    )


def p99(ordered: list[float]) -> float:
    return ordered[math.ceil(0.99 * len(ordered)) - 1]


@pytest.mark.parametrize("relay", [False, True], ids=["veth", "relay"])
def test_network_time_is_what_captures_say(relay: bool) -> None:
    with network(relay=relay) as made:
        made.reflector()
        captures = made.capture()
        client = made.stamp(made.near, "client", "--rate", "400", "--duration", "3", "--same-clock")
        answer = json.loads(client.communicate(timeout=60)[0])
        real = truth(captures, answer)
    values = answer["values"]
    assert set(answer["stamps"].values()) == {"kernel"}
    assert len(answer["ports"]) == 4
    assert answer["received"] == answer["sent"] > 600
    assert answer["incomplete"] == 0
    assert abs(values["network_round_trip_seconds"]["p50"] - statistics.median(real.network)) <= 5 * MICROSECOND
    for name, way in (("forward_delay_seconds", real.forward), ("return_delay_seconds", real.back)):
        assert abs(values[name]["p50"] - statistics.median(way)) <= 5 * MICROSECOND
    if relay:
        assert values["forward_delay_seconds"]["p50"] >= FORWARD_DELAY * 1e-9
        assert FORWARD_DELAY * 1e-9 > values["return_delay_seconds"]["p50"] >= RETURN_DELAY * 1e-9


@pytest.mark.parametrize(("at", "flag", "lossy"), [("b", "--dport", "forward"), ("a", "--sport", "return")])
def test_loss_of_one_direction_is_attributed_to_it(at: str, flag: str, lossy: str) -> None:
    with network(relay=False) as made:
        made.reflector()
        rule = f"iptables -w -A INPUT -p udp {flag} {PORT} -m statistic --mode nth --every 5 --packet 0 -j DROP"
        run("nsenter", f"--net=/run/netns/{made.name}{at}", *rule.split())
        client = made.stamp(made.near, "client", "--rate", "500", "--duration", "2", "--timeout", "0.5")
        answer = json.loads(client.communicate(timeout=60)[0])
    values = answer["values"]
    assert values["loss_ratio"] == pytest.approx(0.2, abs=0.01)
    assert values[f"{lossy}_loss_ratio"] == pytest.approx(0.2, abs=0.01)
    assert values["return_loss_ratio" if lossy == "forward" else "forward_loss_ratio"] == 0
    assert answer["socket_drops"] == 0


class Limit:
    """A control group that leaves 5 % of a core to its processes: version 1 (cpu.cfs_quota_us) or 2 (cpu.max)."""

    def __init__(self, name: str) -> None:
        first, second = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
        self.old = (first / "cgroup.procs").exists()
        if not self.old and "cpu" not in (second / "cgroup.controllers").read_text().split():
            pytest.skip("this kernel has no control groups that limit CPU, of neither version")
        self.folder = (first if self.old else second) / name
        self.folder.mkdir()
        if not self.old:
            (second / "cgroup.subtree_control").write_text("+cpu")

    def set(self, quota: int | None) -> None:
        if self.old:
            (self.folder / "cpu.cfs_period_us").write_text("100000")
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota or -1))
        else:
            (self.folder / "cpu.max").write_text(f"{quota or 'max'} 100000")

    def hold(self, process: subprocess.Popen[str]) -> None:
        (self.folder / "cgroup.procs").write_text(str(process.pid))

    def times_throttled(self) -> int:
        lines = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(lines["nr_throttled"])

    def remove(self) -> None:
        # Its processes have ended; the kernel may need a moment to see it.
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)


@pytest.mark.parametrize("starved", ["sender", "reflector"])
def test_starvation_is_not_the_networks(starved: str) -> None:
    limit = Limit(f"nmst{os.getpid()}")
    try:
        with network(relay=True) as made:
            reflector = made.reflector()
            captures = made.capture()
            # The warm-up is the time in which the process starts, and is then held.
            options = ("--rate", "1000", "--omit", "2", "--duration", "4", "--timeout", "2")
            client = made.stamp(made.near, "client", *options)
            time.sleep(1.5)
            limit.set(5_000)
            limit.hold(client if starved == "sender" else reflector)
            time.sleep(4.5)
            throttled = limit.times_throttled()
            limit.set(None)
            answer = json.loads(client.communicate(timeout=60)[0])
            real = truth(captures, answer)
    finally:
        limit.remove()
    assert throttled >= 10
    found, whole = answer["values"]["network_round_trip_seconds"], answer["values"]["round_trip_seconds"]
    assert found["count"] >= 50
    assert abs(found["p50"] - statistics.median(real.network)) <= 5 * MICROSECOND
    assert found["p99"] == pytest.approx(p99(real.network), rel=0.2)
    # What a process sees is its own waiting.
    assert whole["p50"] > 2 * found["p50"] or whole["p99"] > 4 * found["p99"]
    assert whole["p99"] > 0.02
