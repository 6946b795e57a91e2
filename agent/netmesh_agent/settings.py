"""What an agent is told at its start, and the limits that it keeps whatever it is told later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["pod", "peer", "host"]

HTTP_PORT = 9411

# The fixed pool, so that Services and network policies can name the ports; a group takes at most 4.
TOOL_PORTS = tuple(range(61863, 61871))
STAMP_PORT = 61862


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test may ask of this node. `bits_per_second` None: no limit."""

    seconds: int = 300
    streams: int = 64
    bits_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """An agent's settings. `listen` is "ADDRESS:PORT" of its gRPC server; the address is where tests come too.

    `addresses` take the place of that address where they are given, one a family: a pod's, for example. `http_port`
    None: no HTTP server. With `await_certificates` an agent without certificates waits for them instead of ending.
    `stamp_port`: UDP port of the STAMP reflector, 0: one is chosen.
    """

    node: str
    certificates: Path
    role: Role = "pod"
    listen: str = "[::]:9410"
    tool_ports: tuple[int, ...] = TOOL_PORTS
    stamp_port: int = STAMP_PORT
    limits: Limits = Limits()
    addresses: tuple[str, ...] = ()
    http_port: int | None = None
    await_certificates: bool = False

    @property
    def listen_addresses(self) -> tuple[str, ...]:
        """Where the agent listens, without brackets; "::" and "0.0.0.0" mean all."""
        return self.addresses or (self.listen.rpartition(":")[0].strip("[]"),)

    @property
    def listen_address(self) -> str:
        """The first of them: the one whose device is the traffic device."""
        return self.listen_addresses[0]

    @property
    def listen_ports(self) -> tuple[str, ...]:
        """ADDRESS:PORT of each, as gRPC takes them."""
        port = self.listen.rpartition(":")[2]
        return tuple(f"[{here}]:{port}" if ":" in here else f"{here}:{port}" for here in self.listen_addresses)
