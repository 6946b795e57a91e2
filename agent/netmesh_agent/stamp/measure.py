"""One STAMP test as a program, `python -m netmesh_agent.stamp.measure client|reflect`; JSON on stdout."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import importlib.metadata
import json
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from netmesh_agent.facts import clock
from netmesh_agent.probes.program import meaning
from netmesh_agent.stamp.reflector import Reflector
from netmesh_agent.stamp.results import distribution, histogram, jitter_seconds
from netmesh_agent.stamp.sender import Sender
from netmesh_agent.stamp.sessions import WARM_UP
from netmesh_agent.stamp.window import Window, fold

# Spread probes evenly where timers of whole milliseconds can; pack more than 1,000 a second into batches.
_SHORTEST_TICK_SECONDS = 0.001


def _clock_error() -> float | None:
    """How far the wall clock may be off, in seconds; None where nobody keeps it."""
    return clock().error_seconds


def report(windows: list[Window], ports: list[int], seconds: float, drops: int = 0, unsent: int = 0) -> dict[str, Any]:
    """What a test of so many seconds found, in SI units, out of the windows of its source ports.

    `drops`: answers that this host had no room for; `unsent`: probes that its kernel refused to send. How much the
    network lost is not known where there are any.
    """
    total = fold(windows)
    series = {
        "network_round_trip_seconds": total.network,
        "host_seconds": total.host,
        "round_trip_seconds": total.round_trip,
        "forward_delay_seconds": total.forward,
        "return_delay_seconds": total.back,
    }
    values: dict[str, Any] = {}
    for name, durations in series.items():
        found = distribution(durations)
        values[name] = None if found is None else dataclasses.asdict(found)
    values["jitter_seconds"] = jitter_seconds(window.network for window in windows)
    values["loss_ratio"] = total.lost / total.sent if total.sent else None
    values["forward_loss_ratio"] = values["return_loss_ratio"] = None
    if total.forward_lost is not None and total.return_lost is not None and total.sent > total.forward_lost:
        # Of what was sent; and of what the reflector sent back.
        values["forward_loss_ratio"] = total.forward_lost / total.sent
        values["return_loss_ratio"] = total.return_lost / (total.sent - total.forward_lost)
    if drops:
        values["loss_ratio"] = values["return_loss_ratio"] = None
    if unsent:
        values["loss_ratio"] = values["forward_loss_ratio"] = None
    # Of what was discarded nobody knows how much was answered.
    values["messages_per_second"] = None if total.discarded else total.received / seconds
    values["duplicate_packets"] = total.duplicates
    values["out_of_order_packets"] = total.out_of_order
    values["late_packets"] = total.late
    error = total.one_way_error_nanoseconds
    by_port = []
    for port, window in zip(ports, windows, strict=True):
        network = distribution(window.network)
        by_port.append(
            {
                "port": port,
                "sent": window.sent,
                "lost": window.lost,
                "network_round_trip_seconds": None if network is None else dataclasses.asdict(network),
            }
        )
    return {
        "sent": total.sent,
        "received": total.received,
        "incomplete": total.incomplete,
        "discarded": total.discarded,
        "seconds": seconds,
        "socket_drops": drops,
        "not_sent": unsent,
        "stamps": {
            "transmit": "kernel" if total.transmit_kernel else "process",
            "receive": "kernel" if total.receive_kernel else "process",
            "reflector_receive": "kernel" if total.reflector_kernel else "unknown",
            "reflector_transmit": "kernel" if total.follow_up else "process",
        },
        "one_way_error_seconds": None if error is None else error * 1e-9,
        "values": values,
        "histograms": {name: histogram(durations) for name, durations in list(series.items())[:3] if len(durations)},
        "ports": by_port,
    }


async def _client(options: argparse.Namespace) -> dict[str, Any]:
    interval = 1 / options.rate
    sender = Sender(tick_seconds=max(interval, _SHORTEST_TICK_SECONDS), clock_error=_clock_error)
    source = "::" if ":" in options.address else "0.0.0.0"  # noqa: S104  # the kernel takes the path's own address
    try:
        sender.open(source, [0] * options.source_ports)
        arguments = {
            "interval_seconds": interval,
            "timeout_seconds": options.timeout,
            "packet_bytes": options.bytes,
            "key": sys.stdin.buffer.read() if options.authenticated else None,
            "same_clock": options.same_clock,
        }
        # Without an identifier of ours the warm-up would be part of the test's session.
        if options.omit and options.ssid:
            warm = sender.add(options.address, options.port, options.ssid + WARM_UP, **arguments)
            await asyncio.sleep(options.omit)
            sender.remove(warm)
        peer = sender.add(options.address, options.port, options.ssid, **arguments)
        began = time.monotonic()
        await asyncio.sleep(options.duration)
        sender.pause(peer)
        # On a busy machine a sleep is longer than it was to be.
        seconds = time.monotonic() - began
        asked = time.monotonic()
        windows = await sender.finish(peer)
        found = report(windows, sender.source_ports, seconds, sender.dropped(), sender.unsent())
        found["waited_seconds"] = time.monotonic() - asked
        found["not_sent_in_time"] = peer.skipped
        return found
    finally:
        sender.close()


async def _reflect(options: argparse.Namespace) -> dict[str, Any]:
    reflector = Reflector(clock_error=_clock_error)
    key = sys.stdin.buffer.read() if options.authenticated else None
    for ssid in (options.ssid, options.ssid + WARM_UP):
        reflector.provision(None, ssid, key=key)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int, frame: object) -> None:
        del number, frame
        # The signal may come again once the loop is closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    # Not asyncio's own handler, which goes with the loop: then the second signal would cut the answer off.
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, end)
    reflector.open(options.address, options.port)
    try:
        await ended.wait()
        return {**dataclasses.asdict(reflector.counts), "socket_drops": reflector.dropped()}
    finally:
        reflector.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="netmesh-stamp", description=__doc__)
    parser.add_argument("--version", action="version", version=f"netmesh-stamp {importlib.metadata.version('netmesh')}")
    roles = parser.add_subparsers(dest="role", required=True)
    for role, sentence in (("client", "probe a reflector"), ("reflect", "answer probes until SIGTERM")):
        its = roles.add_parser(role, help=sentence)
        its.add_argument("--address", required=True, help="IP address of the reflector")
        its.add_argument("--port", required=True, type=int, help="UDP port of the reflector")
        its.add_argument("--ssid", required=True, type=int, help="session identifier; the next one is the warm-up's")
        its.add_argument("--authenticated", action="store_true", help="read the HMAC key from standard input")
        if role == "client":
            its.add_argument("--duration", type=float, default=5.0, help="seconds to probe for")
            its.add_argument("--omit", type=float, default=0.0, help="seconds of probing before that do not count")
            its.add_argument("--rate", type=float, default=1000.0, help="probes a second")
            its.add_argument("--source-ports", type=int, default=4, help="how many source ports take turns")
            its.add_argument("--bytes", type=int, help="UDP payload of a probe")
            its.add_argument("--timeout", type=float, default=2.0, help="seconds until a probe counts as lost")
            its.add_argument("--same-clock", action="store_true", help="the reflector reads the clock of this host")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one role; 0 with its result on stdout, 1 with {"error": {"code", "message"}} where it could not run."""
    options = _parser().parse_args(arguments)
    role = _client if options.role == "client" else _reflect
    try:
        answer = asyncio.run(role(options))
    except OSError as error:
        code, message = meaning(error)
        answer = {"error": {"code": code, "message": message}}
    except ValueError as error:
        answer = {"error": {"code": "not_supported", "message": str(error)}}
    # From here on no signal must cut the answer off, nor end a process that has given it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    print(json.dumps(answer))
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main())
