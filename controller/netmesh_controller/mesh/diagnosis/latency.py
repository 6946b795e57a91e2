"""What the rules on delay and jitter ask: the network's time of the pair beside that of others."""

from __future__ import annotations

from netmesh_controller.mesh.diagnosis.seen import Direction, Seen, Statistic

NETWORK = "network_round_trip_seconds"


def network(seen: Seen, statistic: Statistic, direction: Direction = "forward") -> float | None:
    """The network's round trip of the idle path, in seconds."""
    return seen.value("udp-latency", NETWORK, direction, statistic, instrument="stamp")


def of_others(seen: Seen, statistic: Statistic) -> dict[tuple[str, str], float]:
    """The same of other pairs."""
    return seen.others("udp-latency", NETWORK, statistic=statistic, instrument="stamp")


def before(seen: Seen, statistic: Statistic) -> tuple[float, str] | None:
    """What it was in earlier runs, and whose."""
    return seen.earlier("udp-latency", NETWORK, statistic=statistic, instrument="stamp")


def one_way(seen: Seen, name: str) -> float | None:
    """A one-way delay of the pair, where the clocks allow one."""
    return seen.value("udp-latency", name, statistic="p50", instrument="stamp") or seen.value(
        "udp-latency", name, instrument="stamp"
    )
