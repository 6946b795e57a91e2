"""What every source of agents answers: where an agent is, and what is known of it before it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from netmesh_common.errors import BadUsageError


class InventoryError(BadUsageError):
    """The agents cannot be found as asked; the message names what is wrong."""


@dataclass(frozen=True, slots=True)
class Located:
    """An agent's address ("host:port" of its gRPC server), and its node and role where the source knows them.

    `facts` are what the source knows of the node and its agents cannot see, such as the rate of a shaped link;
    `services` the agent's Service addresses by family (4, 6). An agent that is `away` is not asked: the sentence says
    why it is not there, and its address may be "". One with an `excuse` is asked, and has not failed where it does not
    answer: its node was taken out of service on purpose.
    """

    address: str
    node: str | None = None
    role: str | None = None
    zone: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[int, str] = field(default_factory=dict)
    away: str | None = None
    excuse: str | None = None

    def another(self, facts: Mapping[str, Any]) -> str | None:
        """A sentence where the agent that answers at the address says that it is another than the source says.

        Addresses of pods are given out again, and any agent has the certificate of all.
        """
        for what, expected in (("node", self.node), ("role", self.role)):
            if expected is not None and facts[what] != expected:
                return f"{self.address} says that its {what} is {facts[what]}, where {expected} is looked for"
        return None


class Presence(Protocol):
    """What a source that watches its nodes can say of them while a sweep runs."""

    def away(self, node: str) -> str | None:
        """Why a node was or is being removed, as one sentence: nothing is started on it; None where it is there."""
        ...

    def excuse(self, node: str) -> str | None:
        """Why it is no failure if a node's agent does not answer: removed, cordoned or drained; None where it is."""
        ...

    def agent(self, node: str, role: str) -> Located | None:
        """Where an agent is now; None where there is none that could be asked."""
        ...

    def joined(self, known: frozenset[str]) -> frozenset[str]:
        """The nodes with an agent that are not among `known`."""
        ...

    @property
    def version(self) -> int:
        """Grows with each change."""
        ...

    async def changed(self, seen: int) -> int:
        """Returns the version once it is above `seen`."""
        ...
