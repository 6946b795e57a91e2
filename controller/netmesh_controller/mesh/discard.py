"""Cells that another cell of the same run shows to be untrue. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from netmesh_controller.mesh.document import Cell, Reason


def discarded(cells: Iterable[Cell]) -> list[Cell]:
    """qperf's udp_lat where sockperf, which counts, lost messages on the same path between the same nodes.

    One lost datagram stops qperf's ping-pong for the rest of its time. Each comes back with its values, the outcome
    `discarded`, and the reason `loss`.
    """
    of_test = [cell for cell in cells if cell.test == "udp-latency" and cell.outcome == "measured"]
    lossy: dict[tuple[str, frozenset[str], int | None], float] = {}
    for cell in of_test:
        lost = cell.values.get("loss_ratio")
        if cell.parameters.instrument == "sockperf" and lost is not None and lost.mean > 0:
            lossy[_way(cell)] = max(lost.mean, lossy.get(_way(cell), 0.0))
    return [
        cell.model_copy(update={"outcome": "discarded", "reason": _reason(cell, lossy[_way(cell)])})
        for cell in of_test
        if cell.parameters.instrument == "qperf" and _way(cell) in lossy
    ]


def _way(cell: Cell) -> tuple[str, frozenset[str], int | None]:
    # A round trip goes both ways, whoever asks.
    return cell.path, frozenset((cell.source, cell.target)), cell.parameters.family


def _reason(cell: Cell, lost: float) -> Reason:
    message = f"{cell.source}: sockperf lost {lost:.2%} of its messages here, and one stops qperf's ping-pong"
    return Reason(code="loss", message=message)
