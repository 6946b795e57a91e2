"""What one instrument lost, another cannot have measured."""

import pytest

from netmesh_controller.mesh.discard import Lossy
from netmesh_controller.mesh.document import Cell, Parameters, Summary


def discarded(cells: list[Cell]) -> list[Cell]:
    lossy = Lossy()
    lossy.see(cells)
    return lossy.untrue(cells)


def cell(instrument: str, source: str = "a", target: str = "b", loss: float | None = None, **changes: object) -> Cell:
    values = {"round_trip_seconds": Summary(mean=50e-6), "loss_ratio": None if loss is None else Summary(mean=loss)}
    made = Cell(
        path="pod-to-pod",
        test="udp-latency",
        source=source,
        target=target,
        repeat=1,
        attempt=1,
        parameters=Parameters(instrument=instrument),
        outcome="measured",
        values=values,
    )
    return made.model_copy(update=changes)


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("b", "a")])
def test_a_loss_either_way_discards_qperfs_figure_and_keeps_it(source: str, target: str) -> None:
    (one,) = discarded([cell("qperf"), cell("sockperf", source, target, loss=0.01)])
    assert one.outcome == "discarded"
    assert one.reason is not None
    assert one.reason.code == "loss"
    assert one.values["round_trip_seconds"] == Summary(mean=50e-6)
    # The document's rule holds for it as for any other cell.
    assert Cell.model_validate(one.model_dump()) == one


@pytest.mark.parametrize(
    "other",
    [
        cell("sockperf", loss=0),
        cell("sockperf", loss=None),
        cell("sockperf", "a", "c", loss=0.1),
        cell("sockperf", loss=0.1, path="pod-to-service"),
        cell("sockperf", loss=0.1, parameters=Parameters(instrument="sockperf", family=6)),
    ],
)
def test_what_is_elsewhere_or_lost_nothing_discards_nothing(other: Cell) -> None:
    assert discarded([cell("qperf"), other]) == []


def test_sockperfs_own_figure_stays() -> None:
    assert discarded([cell("sockperf", loss=0.1)]) == []
