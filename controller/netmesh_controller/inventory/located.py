"""What every source of agents answers: where an agent is, and what is known of it before it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class InventoryError(Exception):
    """The agents cannot be found as asked; the message names what is wrong."""


@dataclass(frozen=True, slots=True)
class Located:
    """An agent's address ("host:port" of its gRPC server), and its node and role where the source knows them.

    `facts` are what the source knows of the node and its agents cannot see, such as the rate of a shaped link;
    `services` the agent's Service addresses by family (4, 6).
    """

    address: str
    node: str | None = None
    role: str | None = None
    zone: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[int, str] = field(default_factory=dict)
