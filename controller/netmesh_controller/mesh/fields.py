"""The fields of what is asked for, read: from text as on a command line, or from values as in a file.

Each function takes either and returns the value that counts; ValueError says in a sentence what would be right.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from netmesh_common.units import format_rate, parse_duration, parse_rate, parse_size
from netmesh_controller.mesh.catalogue import ALL_TESTS, TESTS
from netmesh_controller.mesh.pairs import parse_pairs
from netmesh_controller.mesh.paths import MESH_PATHS, PATHS, TARGET_PATHS
from netmesh_controller.mesh.precision import parse_until
from netmesh_controller.mesh.selection import parse_selector

TOOLS: tuple[str, ...] = tuple(dict.fromkeys(name for test in TESTS.values() for name in test.instruments))
# `--mss 536:1460` with a step of one byte would be a plan of 925 tests a pair.
_MOST_SIZES = 100
_MOST_OMIT_SECONDS = 60
_MOST_SECONDS = 86_400  # iperf3's own (MAX_TIME in iperf.h)
_MOST_BYTES = 2**30
_MOST_MESSAGES = 10**9
_MOST_REPEATS = 1000
_MOST_BITS_PER_SECOND = 10**13


@dataclass(frozen=True, slots=True)
class Target:
    """Something outside of the mesh that connects are made to: `[PATH:]NAME=ADDRESS:PORT`."""

    path: str
    name: str
    address: str
    port: int

    @property
    def family(self) -> Literal[4, 6]:
        """The IP version of its address."""
        return 4 if ipaddress.ip_address(self.address).version == 4 else 6

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.path}:{self.name}={address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Pause:
    """When no test is started: while the `quantity` of a node is above `ratio` (0 to 1) of all that it has.

    `cpu` is the busy part of all cores, `memory` the part of the memory that is not available.
    """

    quantity: Literal["cpu", "memory"]
    ratio: float

    def __str__(self) -> str:
        return f"{self.quantity} > {self.ratio * 100:.10g} %"


def unknown(what: str, name: object, known: Sequence[str]) -> str:
    """The sentence about a name that does not exist."""
    close = get_close_matches(str(name), known, n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else ";"
    verb = "The" if close else "the"
    return f"there is no {what} '{name}'{hint} {verb} {what}s are {', '.join(known)}"


def _entries(value: object) -> list[object]:
    """The entries of a list, or of a text with commas; a single value is a list of one."""
    if isinstance(value, str):
        return [entry.strip() for entry in value.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _names(value: object, what: str, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(value, str | list | tuple) or not value:
        raise ValueError(f"{value!r} is not a list of {what}s such as {known[0]}")
    names = [entry.strip() if isinstance(entry, str) else entry for entry in _entries(value)]
    for name in names:
        if name not in known:
            raise ValueError(unknown(what, name, known))
    return tuple(dict.fromkeys(str(name) for name in names))


def paths(value: object) -> tuple[str, ...]:
    """Names of paths; `all` is every path between nodes."""
    return MESH_PATHS if value == "all" else _names(value, "path", tuple(PATHS))


def tests(value: object) -> tuple[str, ...]:
    """Names of tests; `all` is every test but those by SCTP."""
    return ALL_TESTS if value == "all" else _names(value, "test", tuple(TESTS))


def tools(value: object) -> tuple[str, ...] | None:
    """Names of instruments."""
    return None if value is None else _names(value, "tool", TOOLS)


def seconds(value: object) -> float:
    """A duration."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a duration such as 5s or 2m")
    return value


def _whole_seconds(value: object, least: int) -> int:
    found = seconds(value)
    if found < least or found != int(found):
        raise ValueError(f"{value} is not a whole number of seconds ≥ {least}; the tools truncate it")
    return int(found)


def duration(value: object) -> int:
    """Whole seconds, 1 to 86,400: iperf3 runs for a day at most."""
    found = _whole_seconds(value, 1)
    if found > _MOST_SECONDS:
        raise ValueError(f"{value} is more than the {_MOST_SECONDS} s that a test may take")
    return found


def omit(value: object) -> int:
    """Whole seconds, 0 to 60: no more is left out by iperf3."""
    found = _whole_seconds(value, 0)
    if found > _MOST_OMIT_SECONDS:
        raise ValueError(f"{value} is more than the {_MOST_OMIT_SECONDS} s that a warm-up may take")
    return found


def interval(value: object) -> float:
    """Seconds, as iperf3 takes them."""
    found = seconds(value)
    if not 0.1 <= found <= 60:
        raise ValueError(f"{value} is not an interval from 0.1s to 60s")
    return found


def _count(value: object, least: int, most: int | None, what: str) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least or (most and number > most):
        bounds = f"from {least} to {most}" if most else f"≥ {least}"
        raise ValueError(f"{value} is not a whole number of {what} {bounds}")
    return number


def streams(value: object) -> tuple[int, ...]:
    """One number of streams, or several."""
    # iperf3 refuses more than 128.
    return _several(value, lambda entry: _count(entry, 1, 128, "streams"), "streams")


def repeat(value: object) -> int:
    """A number of repeats."""
    return _count(value, 1, _MOST_REPEATS, "repeats")


def max_repeat(value: object) -> int | None:
    """The most repeats, or None."""
    return None if value is None else _count(value, 2, _MOST_REPEATS, "repeats")


def until(value: object) -> str | None:
    """A condition as `parse_until` understands it, or None."""
    return None if value is None else str(parse_until(str(value)))


def budget(value: object) -> float | None:
    """Seconds that a sweep may take, or None."""
    if value is None:
        return None
    found = seconds(value)
    if found < 1:
        raise ValueError(f"{value} is not a time of at least 1s")
    return found


def max_concurrent(value: object) -> int | None:
    """A number of tests, or None."""
    return None if value is None else _count(value, 1, None, "tests at once")


def message_rate(value: object) -> int | None:
    """Messages, probes or connects a second, or None."""
    return None if value is None else _count(value, 1, _MOST_MESSAGES, "messages a second")


def family(value: object) -> Literal[4, 6, "both"]:
    """An IP version, or both of them."""
    if value == "both":
        return "both"
    if isinstance(value, bool) or str(value) not in ("4", "6"):
        raise ValueError(f"{value} is not 4, 6 or both")
    return 4 if str(value) == "4" else 6


def flag(value: object) -> bool:
    """True or false, and nothing that only looks like it."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")  # noqa: TRY004  # pydantic turns ValueError only
    return value


def names(value: object) -> tuple[str, ...] | None:
    """Names of nodes or zones, or None."""
    if value is None:
        return None
    found = [entry.strip() if isinstance(entry, str) else entry for entry in _entries(value)]
    if not found or not all(isinstance(entry, str) and entry for entry in found):
        raise ValueError(f"{value!r} is not a list of names such as node-1,node-2")
    return tuple(dict.fromkeys(str(entry) for entry in found))


def selector(value: object) -> str | None:
    """A label selector, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a label selector such as 'disk=ssd,!gpu'")  # noqa: TRY004  # as above
    parse_selector(value)
    return value


def congestion(value: object) -> str | None:
    """The name of a congestion control, or None."""
    # TCP_CA_NAME_MAX in linux/tcp.h is 16, its closing zero included.
    if value is None or (isinstance(value, str) and re.fullmatch(r"[a-z0-9_-]{1,15}", value)):
        return value
    raise ValueError(f"{value!r} is not the name of a congestion control such as cubic or bbr")


def rate(value: object) -> int | Literal["unlimited"] | None:
    """Bits a second, `unlimited`, or None for the default."""
    if value is None or value == "unlimited":
        return None if value is None else "unlimited"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a rate such as 100M, nor unlimited")  # noqa: TRY004  # as above
    try:
        found = parse_rate(str(value))
    except ValueError as error:
        raise ValueError(f"{error}, nor unlimited") from None
    if found < 1:
        raise ValueError(f"{value} sends nothing; say unlimited for as much as goes through")
    return _bounded(found, value)


def max_rate(value: object) -> int | None:
    """Bits a second, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a rate such as 100M")  # noqa: TRY004  # as above
    found = parse_rate(str(value))
    if found < 1:
        raise ValueError(f"{value} lets nothing through")
    return _bounded(found, value)


def _bounded(bits_per_second: int, value: object) -> int:
    if bits_per_second > _MOST_BITS_PER_SECOND:
        raise ValueError(f"{value} is more than any link carries; the most is {format_rate(_MOST_BITS_PER_SECOND)}")
    return bits_per_second


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a size such as 1400, 64k or 1M")  # noqa: TRY004  # as above
    found = parse_size(str(value))
    if found < 1:
        raise ValueError(f"{value} is not a size of at least 1 byte")
    return found


def max_traffic(value: object) -> int | None:
    """Bytes, or None."""
    return None if value is None else _size(value)


def _message_size(value: object) -> int:
    found = _size(value)
    if found > _MOST_BYTES:
        raise ValueError(f"{value} is more than the {_MOST_BYTES} bytes that a message may have")
    return found


def message_sizes(value: object) -> tuple[int, ...] | None:
    """Bytes of messages, or None for the instruments' defaults."""
    return None if value is None else _several(value, _message_size, "sizes")


def mss(value: object) -> tuple[int, ...] | None:
    """Bytes of TCP segments, or None for what the path gives; `536:1460:64` is every 64th size from 536 on."""
    if value is None:
        return None
    sizes: list[int] = []
    for entry in _entries(value):
        sizes += _range(entry) if isinstance(entry, str) and ":" in entry else [_size(entry)]
    return _several(sizes, _message_size, "sizes")


def _range(text: str) -> range:
    parts = text.split(":")
    if len(parts) != 3:
        raise ValueError(f"'{text}' is not a range such as 536:1460:64: smallest, largest, step")
    least, most, step = (_size(part) for part in parts)
    if most < least:
        raise ValueError(f"'{text}' goes from {least} down to {most}; the smallest comes first")
    # Looked at before it is a list, which may not fit into any memory.
    if (most - least) // step >= _MOST_SIZES:
        raise ValueError(f"'{text}' has more than the {_MOST_SIZES} sizes that one run takes")
    return range(least, most + 1, step)


def _several(value: object, read: Callable[[object], int], what: str) -> tuple[int, ...]:
    entries = _entries(value)
    if not entries:
        raise ValueError(f"{value!r} is not a list of {what}")
    if len(entries) > _MOST_SIZES:
        raise ValueError(f"{len(entries)} {what} are more than the {_MOST_SIZES} that one run takes")
    return tuple(dict.fromkeys(read(entry) for entry in entries))


def pairs(value: object) -> str:
    """What `parse_pairs` understands."""
    text = ",".join(str(entry) for entry in value) if isinstance(value, list | tuple) else value
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is not all, sample:K, zones, or a list such as node-1:node-2")  # noqa: TRY004  # as above
    parse_pairs(text)
    return text


def targets(value: object) -> tuple[str, ...]:
    """Targets outside of the mesh, in full: `PATH:NAME=ADDRESS:PORT`."""
    found = [parse_target(str(entry)) for entry in _entries(value)]
    names = [target.name for target in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two targets are called '{name}'")
    return tuple(str(target) for target in found)


def parse_target(text: str) -> Target:
    """The target that `[PATH:]NAME=ADDRESS:PORT` names; an IPv6 address stands in brackets."""
    found = re.fullmatch(r"(?:([^:=\[\]]+):)?([^:=\[\]\s]+)=(\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,5})", text)
    if found is None:
        raise ValueError(f"'{text}' is not [PATH:]NAME=ADDRESS:PORT such as web=192.0.2.10:443, IPv6 as [2001:db8::1]")
    path, name, address, port = found[1] or "pod-to-external", found[2], found[3].strip("[]"), int(found[4])
    if path not in TARGET_PATHS:
        raise ValueError(f"'{path}' is no path to a target; these are {', '.join(TARGET_PATHS)}")
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        raise ValueError(f"'{address}' of target '{name}' is not an IP address") from None
    if not 0 < port < 65536:
        raise ValueError(f"{port} of target '{name}' is not a port from 1 to 65535")
    return Target(path, name, address, port)


def pause_if(value: object) -> str | None:
    """A condition as `parse_pause` understands it, or None."""
    return None if value is None else str(parse_pause(str(value)))


def parse_pause(text: str) -> Pause:
    """The condition that `cpu > 80 %` or `memory > 90 %` names."""
    found = re.fullmatch(r"\s*(cpu|memory)\s*>\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text)
    if found is None:
        raise ValueError(f"'{text}' is not a condition such as 'cpu > 80 %' or 'memory > 90 %'")
    percent = float(found[2])
    if percent > 100:
        raise ValueError(f"'{text}' never holds: a node has 100 %")
    return Pause("cpu" if found[1] == "cpu" else "memory", percent / 100)
