"""Two namespaces with a link between them, STAMP at both ends, and captures of its packets: the truth of the link."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    first: tuple[str, ...] = ()
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
            process = self.inside(namespace, *self.first, sys.executable, WIRE, "capture", *options)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            captures.append((near, process))
        return captures


@contextmanager
def network(*, relay: bool, first: Sequence[str] = ()) -> Iterator[Network]:
    """Joined by a veth pair, or by two with a relay between them.

    `first` is the command before those of relay and captures, such as chrt(1): what stands for the network is not to
    wait for a core.
    """
    made = Network(f"nmst{os.getpid()}", relay, tuple(first))
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
            process = made.inside(middle, *made.first, sys.executable, WIRE, "relay", *delays)
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
