"""Cells that another cell of the same run shows to be untrue. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from netmesh_controller.mesh.document import Cell, Reason

# Whose cells it is about.
TEST = "udp-latency"


class Lossy:
    """Where sockperf, which counts, lost messages: qperf's udp_lat there is untrue.

    One lost datagram stops qperf's ping-pong for the rest of its time. Cells are read twice, first by `see`.
    """

    def __init__(self) -> None:
        self._lost: dict[tuple[str, frozenset[str], int | None], float] = {}

    def __bool__(self) -> bool:
        return bool(self._lost)

    def see(self, cells: Iterable[Cell]) -> None:
        """Notes the losses that sockperf told."""
        for cell in cells:
            lost = cell.values.get("loss_ratio")
            if _counts(cell, "sockperf") and lost is not None and lost.mean > 0:
                self._lost[_way(cell)] = max(lost.mean, self._lost.get(_way(cell), 0.0))

    def untrue(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells of qperf on these ways, with their values, the outcome `discarded`, and the reason `loss`."""
        return [
            cell.model_copy(update={"outcome": "discarded", "reason": _reason(cell, self._lost[_way(cell)])})
            for cell in cells
            if _counts(cell, "qperf") and _way(cell) in self._lost
        ]


def _counts(cell: Cell, instrument: str) -> bool:
    return cell.test == TEST and cell.outcome == "measured" and cell.parameters.instrument == instrument


def _way(cell: Cell) -> tuple[str, frozenset[str], int | None]:
    # A round trip goes both ways, whoever asks.
    return cell.path, frozenset((cell.source, cell.target)), cell.parameters.family


def _reason(cell: Cell, lost: float) -> Reason:
    message = f"{cell.source}: sockperf lost {lost:.2%} of its messages here, and one stops qperf's ping-pong"
    return Reason(code="loss", message=message)
