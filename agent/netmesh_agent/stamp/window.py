"""What became of probes in a stretch of time. Pure."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

_COUNTS = (
    *("sent", "received", "lost", "late", "duplicates", "out_of_order"),
    *("incomplete", "discarded"),
)


def longs() -> array[int]:
    """No durations yet."""
    return array("q")


@dataclass(slots=True)
class Window:
    """What became of the probes that were settled in a stretch of time. Durations are nanoseconds.

    `round_trip` has an entry for each answered probe: from before its sendmsg(2) to after its recvmsg(2). `network` and
    `host` have one, side by side, for each of them whose stamps are all known: (T4 - T1) - (T3 - T2), and the rest.
    `incomplete` counts those that lack one. `forward` and `back` are T2 - T1 and T4 - T3, true within
    `one_way_error_nanoseconds`; that is None where nobody knows it.

    `lost`: not answered in time. `late` answers came after it, and change nothing in `lost`. `discarded`: under way
    while this host's clock was set, and counted nowhere else. `forward_lost` and `return_lost` tell where packets went
    missing before the last answer; None where the reflector does not count.
    `transmit_kernel`, `receive_kernel`, `reflector_kernel`, `follow_up`: whether T1, T4, T2 and T3 are the kernel's;
    False: the stamps of the processes stand in for them.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    incomplete: int = 0
    discarded: int = 0
    forward_lost: int | None = 0
    return_lost: int | None = 0
    transmit_kernel: bool = False
    receive_kernel: bool = False
    reflector_kernel: bool = False
    follow_up: bool = False
    one_way_error_nanoseconds: int | None = None
    round_trip: array[int] = field(default_factory=longs)
    network: array[int] = field(default_factory=longs)
    host: array[int] = field(default_factory=longs)
    forward: array[int] = field(default_factory=longs)
    back: array[int] = field(default_factory=longs)


def fold(windows: list[Window]) -> Window:
    """One window out of those of several source ports; a fact holds where it holds for all that were answered."""
    total = Window()
    for window in windows:
        for name in _COUNTS:
            setattr(total, name, getattr(total, name) + getattr(window, name))
        for name in ("round_trip", "network", "host", "forward", "back"):
            getattr(total, name).extend(getattr(window, name))
        for name in ("forward_lost", "return_lost"):
            mine, its = getattr(total, name), getattr(window, name)
            setattr(total, name, None if mine is None or its is None else mine + its)
    answered = [window for window in windows if window.received]
    for name in ("transmit_kernel", "receive_kernel", "reflector_kernel", "follow_up"):
        setattr(total, name, bool(answered) and all(getattr(window, name) for window in answered))
    errors = [window.one_way_error_nanoseconds for window in answered]
    known = [error for error in errors if error is not None]
    total.one_way_error_nanoseconds = max(known) if known and len(known) == len(errors) else None
    return total
