"""What an agent is told at its start, and the limits that it keeps whatever it is told later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["pod", "peer", "host"]

# The fixed pool, so that Services and network policies can name the ports; a group takes at most 4.
TOOL_PORTS = tuple(range(61863, 61871))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test may ask of this node. `bits_per_second` None: no limit."""

    seconds: int = 300
    streams: int = 64
    bits_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """An agent's settings. `listen` is "ADDRESS:PORT" of its gRPC server; the address is where tests come too."""

    node: str
    certificates: Path
    role: Role = "pod"
    listen: str = "[::]:9410"
    tool_ports: tuple[int, ...] = TOOL_PORTS
    limits: Limits = Limits()

    @property
    def listen_address(self) -> str:
        """The address part of `listen`, without brackets; "::" and "0.0.0.0" mean all."""
        return self.listen.rpartition(":")[0].strip("[]")
