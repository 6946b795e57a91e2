"""What a node's network stack has counted and how it is set: what a diagnosis looks at beside its measurements.

Counters are cumulative; two readings are compared. All of it is of this process's network namespace, but for what
`softnet` says and memory's pressure, which the kernel counts for the whole host. What cannot be read is left out,
never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netmesh.v1 import agent_pb2
from netmesh_agent import cgroup, devicestate
from netmesh_agent.waiting import parse_pressure

# proc_net_snmp(5) and RFC 1213 / RFC 4113: what of it says that packets were lost at this host, or sent again.
_SNMP = {
    "Ip": ("InDiscards", "OutDiscards", "OutNoRoutes", "FragFails"),
    "Tcp": ("RetransSegs", "OutSegs", "InErrs"),
    "Udp": ("InErrors", "RcvbufErrors", "SndbufErrors", "MemErrors", "NoPorts"),
    "TcpExt": (
        "ListenDrops",
        "PruneCalled",
        "TCPBacklogDrop",
        "TCPRcvQDrop",
        "TCPToZeroWindowAdv",
        "TCPMemoryPressures",
    ),
}
# What says how large a window may get, and how full a table is.
_SETTINGS = {
    "tcp_rmem": Path("/proc/sys/net/ipv4/tcp_rmem"),
    "congestion_control": Path("/proc/sys/net/ipv4/tcp_congestion_control"),
    "default_qdisc": Path("/proc/sys/net/core/default_qdisc"),
    "tcp_wmem": Path("/proc/sys/net/ipv4/tcp_wmem"),
    "rmem_default": Path("/proc/sys/net/core/rmem_default"),
    "rmem_max": Path("/proc/sys/net/core/rmem_max"),
    "nf_conntrack_count": Path("/proc/sys/net/netfilter/nf_conntrack_count"),
    "nf_conntrack_max": Path("/proc/sys/net/netfilter/nf_conntrack_max"),
}
# Fields of /proc/net/softnet_stat (net/core/net-procfs.c): packets dropped for a full backlog, budgets that ran out.
_SOFTNET_DROPPED, _SOFTNET_SQUEEZED = 1, 2


def parse_snmp(text: str) -> dict[str, int]:
    """The counters of /proc/net/snmp or /proc/net/netstat that are wanted, as `Udp.RcvbufErrors`."""
    found: dict[str, int] = {}
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group = names[0].rstrip(":")
        wanted = _SNMP.get(group, ())
        found |= {
            f"{group}.{name}": int(value)
            for name, value in zip(names[1:], values[1:], strict=False)
            if name in wanted and value.lstrip("-").isdecimal()
        }
    return found


def parse_softnet(text: str) -> dict[str, int]:
    """Packets that cores dropped for a full backlog, and how often their budget ran out, over all cores."""
    rows = [[int(field, 16) for field in line.split()] for line in text.splitlines() if line.strip()]
    if not rows or any(len(row) <= _SOFTNET_SQUEEZED for row in rows):
        return {}
    return {
        "softnet.dropped": sum(row[_SOFTNET_DROPPED] for row in rows),
        "softnet.squeezed": sum(row[_SOFTNET_SQUEEZED] for row in rows),
    }


def parse_neighbours(text: str) -> dict[str, int]:
    """How many entries of /proc/net/arp are complete and how many are not (flag ATF_COM, arp(7))."""
    flags = [int(fields[2], 16) for line in text.splitlines()[1:] if len(fields := line.split()) >= 4]
    complete = sum(1 for flag in flags if flag & 0x2)
    return {"neighbours.complete": complete, "neighbours.incomplete": len(flags) - complete}


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _counters() -> Iterator[tuple[str, int]]:
    for path, parse in (
        (Path("/proc/self/net/snmp"), parse_snmp),
        (Path("/proc/self/net/netstat"), parse_snmp),
        (Path("/proc/self/net/softnet_stat"), parse_softnet),
        (Path("/proc/self/net/arp"), parse_neighbours),
        (Path("/proc/pressure/memory"), memory_pressure),
    ):
        text = _text(path)
        if text is not None:
            yield from parse(text).items()


def memory_pressure(text: str) -> dict[str, int]:
    """Milliseconds in which at least one task of the host waited for memory, by its /proc/pressure/memory."""
    seconds = parse_pressure(text)
    return {} if seconds is None else {"memory_pressure_milliseconds": round(seconds * 1e3)}


def parse_periods(text: str) -> dict[str, int]:
    """How many scheduling periods a cgroup had with work, and in how many it was throttled, by its cpu.stat."""
    values = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    names = {"nr_periods": "cgroup.periods", "nr_throttled": "cgroup.throttled_periods"}
    return {new: int(values[old]) for old, new in names.items() if old in values}


def inspect(device: str | None) -> agent_pb2.InspectReply:
    """The counters and settings of this moment; those of the traffic device as `device.…`."""
    settings = {name: text.strip() for name, path in _SETTINGS.items() if (text := _text(path)) is not None}
    counters = dict(_counters())
    stat = cgroup.own_stat()
    if stat is not None and (text := _text(stat)) is not None:
        counters |= parse_periods(text)
    if device is not None:
        try:
            counted, said = devicestate.state_of(device)
        except OSError:
            counted, said = {}, {}
        settings["device"] = device
        counters |= {f"device.{name}": count for name, count in counted.items()}
        settings |= {f"device.{name}": text for name, text in said.items()}
    return agent_pb2.InspectReply(counters=counters, settings=settings)
