"""How soon faults are told, and how often a healthy mesh is blamed: simulated, the dice thrown many times."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.controller.mesh.probing.simulated import Fault, Noise, at_node, at_pair, opened

BEGINS = 35.0
ONE_WAY, EACH_WAY = 0.05, 1 - 0.95**2
NOTHING = np.zeros(())
HOUR = 3600


@pytest.mark.parametrize(
    ("kind", "lost", "more_seconds", "seconds", "most"),
    [
        ("lossy_node", at_node(2, ONE_WAY), NOTHING, 30, 3),
        ("lossy_node", at_node(2, EACH_WAY), NOTHING, 25, 1),
        ("lossy_pair", at_pair(2, 4, EACH_WAY), NOTHING, 60, 8),
        ("slow_node", NOTHING, at_node(2, 2e-3), 25, 0),
    ],
    ids=["a node loses one way", "each way", "a pair", "a slow node"],
)
def test_a_fault_is_named_in_time(
    kind: str, lost: NDArray[np.float64], more_seconds: NDArray[np.float64], seconds: int, most: int
) -> None:
    """In a mesh of six, whenever it begins: in a window's first second or its last. 40 times each, `most` of them late.

    A node is asked 100 times in 10 s, one pair 20 times: five in a hundred of that are one probe.
    """
    late = 0
    for seed, phase in enumerate(np.random.default_rng(7).uniform(0, 5, 40)):
        begins, found = BEGINS + phase, False
        for at, event in opened(seed, int(BEGINS) + seconds + 5, Noise(), Fault(begins, lost, more_seconds)):
            # A pair of a node may be seen before the node is.
            assert "c" in event.finding.where.values()
            found |= event.finding.kind == kind and at - begins <= seconds
        late += not found
    assert late <= most


@pytest.mark.parametrize(
    ("noise", "hours", "most"),
    [
        # As much as is always to be expected; round trips that go up and down by the half.
        (Noise(lost=1e-3, spread=0.5), 2, 0),
        # Each node stands still twice an hour, for 0.5 to 3 s. Two nodes in the same half minute are told as a loss.
        (Noise(lost=1e-4, stalls=2.0), 2, 2),
        # Queues that fill for some seconds: 2 ms, thirty times the usual.
        (Noise(spikes=6.0, moment_seconds=(1.0, 6.0)), 2, 0),
    ],
    ids=["losses and jitter", "stalls", "spikes"],
)
def test_a_healthy_mesh_is_hardly_ever_blamed(noise: Noise, hours: int, most: int) -> None:
    assert len(list(opened(1, hours * HOUR, noise))) <= most
