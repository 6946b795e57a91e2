"""One end's wall clock is stepped in mid-test: that of its processes and of its packets' stamps, not the machine's."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.agent.stamp.test_flow import BACK, FORWARD
from tests.agent.stamp.test_flow import Path as ProbePath
from tests.agent.stamp.test_measure import free_port
from tests.support.clock import SteppedClock

from netmesh_agent import sockets
from netmesh_common.clockwatch import ClockWatch

PROGRAM = (sys.executable, "-m", "netmesh_agent.stamp.measure")
SECONDS, RATE = 1.2, 500
# Loopback, on a machine on which others want the cores too.
LONGEST_SECONDS = 0.5


@pytest.mark.parametrize("stepped", ["client", "reflector"])
def test_no_figure_has_the_step_in_it(stepped: str, tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path / "clock")
    port = str(free_port())
    place = ("--address", "127.0.0.1", "--port", port, "--ssid", "9")
    reflect, probe = [*PROGRAM, "reflect", *place], [*PROGRAM, "client", *place]
    probe += ["--duration", str(SECONDS), "--rate", str(RATE), "--timeout", "0.5"]
    if stepped == "client":
        probe = clock.argv(*probe)
    else:
        reflect = clock.argv(*reflect)
    with subprocess.Popen(reflect, stdout=subprocess.PIPE) as reflector, ended(reflector):
        until = time.monotonic() + 30
        while not sockets.listening("udp", int(port)):
            assert time.monotonic() < until
            time.sleep(0.02)
        found = []
        with subprocess.Popen(probe, stdout=subprocess.PIPE, text=True) as client:
            # Its first probes have left when its own port is there.
            sent_from(client.pid, until)
            for seconds in (3600.0, -3600.0, 0.3):
                time.sleep(SECONDS / 5)
                clock.step(seconds)
            found = json.loads(client.communicate(timeout=60)[0])
    values = found["values"]
    for name in ("round_trip_seconds", "network_round_trip_seconds", "host_seconds"):
        assert 0 < values[name]["min"] <= values[name]["max"] < LONGEST_SECONDS, (name, values[name])
    # What was not discarded was answered: nothing is lost on a loopback.
    assert (found["received"], values["loss_ratio"], values["late_packets"]) == (found["sent"], 0.0, 0)
    assert found["sent"] > 0
    if stepped == "client":
        assert found["discarded"] > 0
        # How many there were in all of the time is not known.
        assert values["messages_per_second"] is None
    else:
        assert found["discarded"] == 0
    assert values["forward_delay_seconds"] is None


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """It is told to end, whatever becomes of the test."""
    try:
        yield
    finally:
        process.terminate()


def sent_from(process: int, until: float) -> None:
    """Until the process has a UDP socket."""
    while not any(one.type == socket.SOCK_DGRAM for one in psutil.Process(process).net_connections("inet")):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_clock_that_was_set_is_noticed_and_a_slewed_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ahead = [10**18], [0]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 + now[0] + ahead[0])
    watch = ClockWatch()
    assert watch.look() == 0
    for seconds, step in ((1, 0), (10, 5_000_000), (1, 500_000), (1, 0)):
        now[0] += seconds * 10**9
        ahead[0] += step
        assert watch.look() == 0
    for sets, step in enumerate((2_000_001 + 10**6, -(10**12), 10**12), 1):
        now[0] += 10**9
        ahead[0] += step
        assert watch.look() == sets
    assert watch.look() == sets


def test_what_was_under_way_when_the_clock_was_set_counts_nowhere_else() -> None:
    path = ProbePath()
    path.send(4)
    path.answer(0, 0)
    path.flow.discard()
    # Answers that are still to come are late for nobody, and a probe after that is as ever.
    path.answer(1, 1)
    path.send()
    path.answer(4, 2)
    path.follow(4, 2)
    window = path.take(1_000)
    assert (window.sent, window.discarded, window.received, window.lost, window.late) == (1, 4, 1, 0, 0)
    assert (list(window.network), window.forward_lost, window.return_lost) == ([FORWARD + BACK], None, None)
    # How far off the clock was before it was set, nobody said.
    assert (window.one_way_error_nanoseconds, window.forward, window.back) == (None, array("q"), array("q"))
    path.send()
    path.answer(5, 3)
    path.follow(5, 3)
    assert path.take(1_000).one_way_error_nanoseconds == 1_000


def test_an_ended_test_discards_what_counts_only() -> None:
    path = ProbePath()
    path.send(3)
    path.flow.end()
    path.send(2)
    path.flow.discard()
    window = path.take()
    assert (window.sent, window.discarded) == (0, 3)


@pytest.mark.parametrize("step", [3600 * 10**9, -3600 * 10**9, 10**9])
def test_a_reflector_whose_clock_is_set_while_it_holds_a_probe(step: int) -> None:
    path = ProbePath()
    path.send(2)
    for sequence in range(2):
        path.answer(sequence, sequence)
        path.follow(sequence, sequence)
    t2_and_t3 = path.at[1]
    path.flow.followed_up(1, t2_and_t3 + step)
    window = path.take()
    assert (window.received, window.incomplete, list(window.network)) == (2, 1, [FORWARD + BACK])
