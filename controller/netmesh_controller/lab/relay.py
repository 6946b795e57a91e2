"""Holds packets for a time: TAP devices whose frames come back as they went, each device after a delay of its own.

`python relay.py REPORT NAME=NANOSECONDS:JITTER …`, in the namespace where the devices are to be.
For kernels without netem.

A frame comes with the kernel's own note on it (struct virtio_net_hdr, linux/virtio_net.h): a missing checksum, or a
super-packet of TCP. It goes back with that note, so that a super-packet costs one read and one write as well.

With a JITTER, what frames wait beyond the delay is drawn anew every 5 ms, from 0 to so many nanoseconds: as behind a
queue that fills and empties. They stay in order.

A frame waits until this process has woken up to read it, and again when its time has come. How long that takes here is
measured at the start, and taken off the delay.

REPORT is a file of JSON, written anew every second: for each device the frames and bytes that came back, the frames
dropped, and how much later than due they were written (late_seconds: p50, p99, max; null before the first; negative
where a frame was early, since the process was awake already). What a frame waited longer than usual before it was read
is not seen here.

Needs nothing but Python: a process with little to load, which starts soon.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import random
import select
import struct
import sys
from collections import Counter, deque
from itertools import accumulate
from pathlib import Path
from time import monotonic_ns
from typing import Any

# <linux/if_tun.h>
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08  # TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN
_PR_SET_TIMERSLACK = 29  # <linux/prctl.h>
_LARGEST_FRAME = 10 + 14 + 65536
# More than that is no delay but a jam; 64 MiB are 0.5 s of 1 Gbit/s.
MOST_HELD_BYTES = 64 * 1024 * 1024
# Frames read before those that are due are written.
_BATCH = 32
_TRIES, _TRY_SECONDS = 24, 0.001
_DRAWN_NANOSECONDS = 5_000_000
_REPORT_NANOSECONDS = 1_000_000_000


class Line:
    """One TAP device, its delay, and what it holds."""

    def __init__(self, name: str, nanoseconds: int, jitter: int, waking: int) -> None:
        self.name, self.nanoseconds, self.waking = name, nanoseconds, waking
        self.jitter, self.more, self.drawn_at, self.last = jitter, 0, 0, 0
        self.held: deque[tuple[int, bytes]] = deque()
        self.held_bytes = self.packets = self.bytes = self.dropped = 0
        self.late_microseconds: Counter[int] = Counter()
        self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(self.file, _TUNSETIFF, request)
        fcntl.ioctl(self.file, _TUNSETOFFLOAD, _OFFLOADS)

    def read(self) -> None:
        """Takes in what waits, a batch at most; due from the time when this process was called to read it."""
        for _ in range(_BATCH):
            try:
                frame = os.read(self.file, _LARGEST_FRAME)
            except OSError:  # nothing more, or the device is not up
                return
            if self.held_bytes > MOST_HELD_BYTES:
                self.dropped += 1
                continue
            self.held_bytes += len(frame)
            due = monotonic_ns() - self.waking + self.nanoseconds
            if self.jitter:
                due = self.last = max(self.last, due + self._drawn())
            self.held.append((due, frame))

    def _drawn(self) -> int:
        """What frames wait beyond the delay now."""
        now = monotonic_ns()
        if now - self.drawn_at > _DRAWN_NANOSECONDS:
            self.more, self.drawn_at = random.randrange(self.jitter + 1), now  # noqa: S311  # no secret
        return self.more

    def write(self) -> None:
        """Gives back what is due."""
        held = self.held
        while held and held[0][0] - self.waking <= (now := monotonic_ns()):
            due, frame = held.popleft()
            self.held_bytes -= len(frame)
            try:
                os.write(self.file, frame)
            except OSError:  # the device is not up
                self.dropped += 1
                continue
            self.packets += 1
            self.bytes += len(frame) - 10
            self.late_microseconds[(now - due) // 1000] += 1

    def report(self) -> dict[str, Any]:
        """What the report says of this line."""
        late = self.late_microseconds
        return {
            "delay_seconds": self.nanoseconds / 1e9,
            "jitter_seconds": self.jitter / 1e9,
            "waking_seconds": self.waking / 1e9,
            "packets": self.packets,
            "bytes": self.bytes,
            "dropped": self.dropped,
            "late_seconds": {
                "p50": quantile(late, 0.5),
                "p99": quantile(late, 0.99),
                "max": max(late) / 1e6 if late else None,
            },
        }


def quantile(microseconds: Counter[int], share: float) -> float | None:
    """The lateness in seconds that this share of the frames does not exceed; None of none."""
    values = sorted(microseconds)
    total = microseconds.total()
    sums = accumulate(microseconds[value] for value in values)
    return next((value / 1e6 for value, count in zip(values, sums, strict=True) if count >= share * total), None)


def run(lines: list[Line], report: Path) -> None:
    """Relays until killed."""
    next_report = 0
    said: dict[str, Any] | None = None
    by_file = {line.file: line for line in lines}
    while True:
        for line in lines:
            line.write()
        now = monotonic_ns()
        if now >= next_report:
            next_report = now + _REPORT_NANOSECONDS
            new = {line.name: line.report() for line in lines}
            if new != said:
                said = new
                _save(report, new)
        wake = min([next_report, *(line.held[0][0] - line.waking for line in lines if line.held)])
        # Not epoll, whose time limit Python hands to the kernel in milliseconds; that of select is in microseconds.
        ready, _, _ = select.select(by_file, [], [], max(0, wake - monotonic_ns()) / 1e9)
        for file in ready:
            by_file[file].read()


def _save(report: Path, data: dict[str, Any]) -> None:
    new = report.with_name(report.name + ".new")
    new.write_text(json.dumps(data))
    new.replace(report)


def waking_nanoseconds() -> int:
    """How long after its time a process that waits is running, on a machine with little else to do."""
    late = []
    for _ in range(_TRIES):
        started = monotonic_ns()
        select.select((), (), (), _TRY_SECONDS)
        late.append(monotonic_ns() - started - round(_TRY_SECONDS * 1e9))
    # The lower quartile: others may be busy now.
    return sorted(late)[_TRIES // 4]


def prepare() -> None:
    """Has this process woken in time: no slack on timers, no pauses to look for garbage.

    The scheduler treats it as any other: one that comes first keeps receivers from their cores, and frames get lost.
    """
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    # Frames refer to nothing, so that no cycles arise.
    gc.disable()


def main() -> None:
    """Entry point."""
    prepare()
    report, *lines = sys.argv[1:]
    waking = waking_nanoseconds()
    made = []
    for name, times in (text.split("=") for text in lines):
        nanoseconds, jitter = times.split(":")
        made.append(Line(name, int(nanoseconds), int(jitter), waking))
    run(made, Path(report))


if __name__ == "__main__":
    main()
