"""What a simulated mesh is: its nodes, its network, and what goes wrong in it. Everything follows from one seed."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.sim.network import Network, Place


@dataclass(frozen=True, slots=True)
class World:
    """`factor`: tests take so many times less than they say. `jitter`: durations vary by up to this part; a part of
    `stragglers` takes three times as long, a part of `failures` fails once it has run. `oversubscribed`: a zone's
    nodes want so many times more than its uplink carries; 1 leaves the uplinks out. `lost`: so many agents stop within
    `away_seconds` of their start, and are back as long after. `probing`: agents tell of probes, all answered.
    """

    nodes: int
    zones: int = 8
    nic_bits_per_second: float = 25e9
    oversubscribed: float = 1.0
    factor: float = 1.0
    jitter: float = 0.02
    stragglers: float = 0.02
    failures: float = 0.002
    lost: int = 0
    away_seconds: float = 10.0
    cpus: int = 32
    probing: bool = False
    seed: int = 1
    names: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(f"node-{number:04}" for number in range(self.nodes)))

    def address(self, number: int) -> str:
        """The IP address of a node's agent: on the loopback device, one a node."""
        return f"127.1.{number // 250}.{number % 250 + 1}"

    def zone(self, number: int) -> str:
        """The zone of a node."""
        return f"zone-{number * self.zones // self.nodes}"

    def network(self) -> Network:
        """The network of this world; one node in ten has a NIC of a tenth of the rate."""
        dice = random.Random(self.seed)
        places = {
            name: Place(self.zone(number), self.nic_bits_per_second * dice.choices((1.0, 0.1), (9, 1))[0])
            for number, name in enumerate(self.names)
        }
        uplinks: dict[str, float] = {}
        if self.oversubscribed > 1:
            for place in places.values():
                share = place.bits_per_second / self.oversubscribed
                uplinks[place.zone] = uplinks.get(place.zone, 0.0) + share
        return Network(places, uplinks)

    def dice(self, what: str) -> random.Random:
        """Chance for one thing, the same in every process."""
        return random.Random(f"{self.seed} {what}")

    def as_json(self) -> dict[str, Any]:
        """As it travels to the processes."""
        return {name: value for name, value in asdict(self).items() if name != "names"}
