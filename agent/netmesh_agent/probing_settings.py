"""What a continuous probe is told to do, and what of that can be."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field

from netmesh_agent.checks import Check, verify
from netmesh_agent.errors import Refused
from netmesh_agent.tools.base import StampSession

SHORTEST_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ProbePeer:
    """A reflector to probe."""

    address: str
    port: int
    ssid: int
    key: bytes | None = field(default=None, repr=False)
    same_clock: bool = False

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True)
class Configuration:
    """Whom to probe and how, and whose probes to answer; see `ConfigureProbingRequest`."""

    version: int
    interval_seconds: float
    timeout_seconds: float
    window_seconds: float
    lease_seconds: float
    peers: tuple[ProbePeer, ...]
    answered: tuple[StampSession, ...]
    checks: tuple[Check, ...] = ()
    checks_interval_seconds: float = 0.0


def check(wanted: Configuration) -> None:
    """Raises Refused with the field that cannot be."""
    bounds = (
        ("interval_seconds", wanted.interval_seconds, SHORTEST_TICK_SECONDS, 3600.0),
        ("timeout_seconds", wanted.timeout_seconds, SHORTEST_TICK_SECONDS, 10.0),
        ("window_seconds", wanted.window_seconds, 0.5, 3600.0),
        ("lease_seconds", wanted.lease_seconds, 0.0, 7 * 86400.0),
    )
    if wanted.version < 1:
        raise Refused("refused", "version is at least 1", "version")
    for name, value, least, most in bounds:
        if not (math.isfinite(value) and least <= value <= most):
            raise Refused("refused", f"{name} is {least:g} to {most:g}", name)
    ends = [(peer.address, peer.port) for peer in wanted.peers]
    if any(session.ssid == 0 for session in wanted.answered):
        raise Refused("refused", "a session that others are to probe has an identifier", "answered")
    for peer in wanted.peers:
        try:
            ipaddress.ip_address(peer.address)
        except ValueError:
            raise Refused("refused", f"'{peer.address}' is no IP address", "peers") from None
        if not 0 < peer.port < 65536:
            raise Refused("refused", f"{peer.port} of {peer.address} is no port", "peers")
    verify(wanted.checks, wanted.checks_interval_seconds)
    if len(set(ends)) < len(ends):
        raise Refused("refused", "a peer is there twice", "peers")
