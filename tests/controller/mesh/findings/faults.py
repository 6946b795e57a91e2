"""One fault in a simulated mesh, and what is said of the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tests.controller.mesh.findings.healthy import DATAGRAMS, Floats, Mesh

from netmesh_controller.mesh.document import Finding, Node, Parameters
from netmesh_controller.mesh.findings import Again, find, to_measure_again
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series

PATH = "pod-to-pod"
BANDWIDTH = Series(PATH, "tcp-bandwidth", Parameters(instrument="iperf3"))
LATENCY = Series(PATH, "tcp-latency", Parameters(instrument="sockperf"))
UDP = Series(PATH, "udp-bandwidth", Parameters(instrument="iperf3", offered_bits_per_second=100_000_000))
SECONDS = 5.0

What = Literal["bandwidth", "round_trip", "loss"]
_SLOW = {"bandwidth": "slow", "round_trip": "slow", "loss": "lossy"}


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and what a finding of it says: its kind and its place."""

    cells: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    kind: str
    where: Mapping[str, str]

    def said_by(self, finding: Finding) -> bool:
        return finding.kind == self.kind and self.where.items() <= finding.where.items()


def name(place: int) -> str:
    return f"node-{place + 1}"


def nodes_of(mesh: Mesh) -> list[Node]:
    return [Node(name=name(place), zone=f"zone-{zone}") for place, zone in enumerate(mesh.zone)]


def node_fault(mesh: Mesh, what: What, direction: str) -> Fault:
    place = int(mesh.dice.integers(mesh.count))
    cells = np.zeros((mesh.count, mesh.count), dtype=bool)
    cells[place, :] = direction != "in"
    cells[:, place] |= direction != "out"
    said = "unknown" if what == "round_trip" else direction
    return Fault(cells, f"{_SLOW[what]}_node", {"node": name(place), "direction": said})


def pair_fault(mesh: Mesh, what: What, direction: str) -> Fault:
    source, target = sorted(int(place) for place in mesh.dice.choice(mesh.count, 2, replace=False))
    cells = np.zeros((mesh.count, mesh.count), dtype=bool)
    cells[source, target] = True
    cells[target, source] = direction == "both"
    # A pair that was not measured cannot be found.
    mesh.there(cells)
    return Fault(cells, f"{_SLOW[what]}_pair", {"source": name(source), "target": name(target), "direction": direction})


def zone_fault(mesh: Mesh, what: What, direction: str) -> Fault:
    source, target = sorted(int(zone) for zone in mesh.dice.choice(mesh.zone.max() + 1, 2, replace=False))
    cells = (mesh.zone == source)[:, None] & (mesh.zone == target)[None, :]
    if direction == "both":
        cells |= cells.T
    where = {"source_zone": f"zone-{source}", "target_zone": f"zone-{target}", "direction": direction}
    return Fault(cells, f"{_SLOW[what]}_zone_pair", where)


def put(mesh: Mesh, fault: Fault, what: What, size: float) -> None:
    """Bandwidth and round trips are multiplied, losses happen with this probability."""
    values: Floats = getattr(mesh, what)
    where = fault.cells & ~mesh.missing
    if what == "loss":
        lost = mesh.dice.binomial(DATAGRAMS, size, (len(values), np.count_nonzero(where)))
        values[:, where] = lost / DATAGRAMS
    else:
        values[:, where] *= size
        if what == "bandwidth":
            mesh.alone[where] *= size


def gathered(mesh: Mesh) -> dict[Series, Gathered]:
    """The mesh as a sweep would have gathered it."""
    names = [name(place) for place in range(mesh.count)]
    made = {series: Gathered(series, names) for series in (BANDWIDTH, LATENCY, UDP)}
    rows, columns = np.nonzero(~mesh.missing)
    for number in range(len(mesh.bandwidth)):

        def of(values: Floats, repeat: int = number) -> Floats:
            found: Floats = values[repeat][rows, columns]
            return found

        loss = of(mesh.loss)
        made[BANDWIDTH].fill(rows, columns, number + 1, {"bits_per_second": of(mesh.bandwidth)})
        made[LATENCY].fill(rows, columns, number + 1, {"round_trip_seconds": of(mesh.round_trip)})
        sent = np.full(len(rows), DATAGRAMS / SECONDS)
        rates = {"loss_ratio": loss, "packets_per_second": sent * (1 - loss), "bits_per_second": 100e6 * (1 - loss)}
        made[UDP].fill(rows, columns, number + 1, rates)
    return made


def said(mesh: Mesh) -> list[Finding]:
    """The findings of the mesh, after its worst cells were measured again, each alone."""
    nodes, cells = nodes_of(mesh), gathered(mesh)
    place = {name(number): number for number in range(mesh.count)}
    again: dict[Again, float] = {
        one: float(mesh.alone[place[one.source], place[one.target]])
        for one in to_measure_again(nodes, cells, duration_seconds=SECONDS)
    }
    return find(nodes, cells, duration_seconds=SECONDS, again=again)
