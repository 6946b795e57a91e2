"""The witness of a window of the continuous probe."""

from __future__ import annotations

import dataclasses

import pytest
from tests.support import hostsamples
from tests.support.hostsamples import CpuTimes

from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.probe_witness import probe_witness


def at(seconds: float, **more: object) -> Sample:
    """A sample of a host that is idle."""
    idle = hostsamples.at(
        seconds,
        CpuTimes(idle=seconds),
        device={"name": "eth0", "sent_bytes": 0, "received_bytes": 0},
        throttled_seconds=0.0,
        agent_wait_seconds=0.0,
        pressure_seconds=0.0,
    )
    return dataclasses.replace(idle, **more)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("changes", "late", "tested", "figures"),
    [
        ({}, 0.004, False, {}),
        ({"throttled_seconds": 2.0}, 0.0, False, {"throttled": 0.2}),
        ({"agent_wait_seconds": 3.0}, 0.0, False, {"run_queue_wait": 0.3}),
        ({"pressure_seconds": 9.0}, 0.0, False, {"pressure": 0.9}),
        ({}, 0.3, False, {"loop_late": 0.3}),
        ({"core_idle": (0.0,)}, 0.0, False, {"busy_core": 1.0}),
        ({"device": {"name": "eth0", "sent_bytes": 10, "received_bytes": 10**8}}, 0.0, False, {"other_traffic": 1e7}),
        ({"device": {"name": "eth0", "sent_bytes": 10**8, "received_bytes": 9}}, 0.0, True, {"own_traffic": 1e7}),
    ],
)
def test_signs_of_a_window_of_10_seconds(
    changes: dict[str, object], late: float, tested: bool, figures: dict[str, float]
) -> None:
    seen = probe_witness(at(0), at(10, **changes), latest_seconds=late, tested=tested)
    assert seen is not None
    assert seen.verdict == ("marked" if figures else "healthy")
    assert seen.signs == list(figures)
    assert seen.figures == pytest.approx({f"source.{sign}": figure for sign, figure in figures.items()})


def test_an_agent_that_began_anew_has_no_window() -> None:
    assert probe_witness(at(10), at(3), latest_seconds=0, tested=False) is None
