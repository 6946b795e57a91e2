"""At which rate UDP begins to be lost."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.seen import Direction, Seen, figure

# Of what was sent at a rate: so much lost, and it does not pass.
LOSES = 0.01


def loses_from(seen: Seen, direction: Direction) -> tuple[float | None, float | None]:
    """The highest rate of UDP that passed in that direction, and the lowest at which it was lost; bits a second."""
    passed: list[float] = []
    lost: list[float] = []
    for cell in seen.measured():
        offered, loss = cell.parameters.offered_bits_per_second, figure(cell, "loss_ratio")
        if cell.test != "udp-bandwidth" or (cell.source, cell.target) != seen.ends(direction):
            continue
        if offered and loss is not None:
            (lost if loss > LOSES else passed).append(float(offered))
    return max(passed, default=None), min(lost, default=None)


def udp_facts(seen: Seen, direction: Direction) -> Iterator[Fact]:
    """The same as evidence; nothing where no rate was tried."""
    passed, lost = loses_from(seen, direction)
    if passed is not None:
        yield Fact(what="UDP passes at", measured=passed, unit="bit/s", source="iperf3, received")
    if lost is not None:
        yield Fact(what=f"UDP loses over {LOSES:.0%} at", measured=lost, unit="bit/s", source="iperf3, received")
