"""Simulated meshes with realistic noise, straight into arrays: what comparisons are tried on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.comparison import Side
from netmesh_controller.mesh.document import Node, Parameters, PlanRecord, Run
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series

BANDWIDTH = Series("pod-to-pod", "tcp-bandwidth", Parameters(instrument="iperf3", streams=1, direction="forward"))
LATENCY = Series("pod-to-pod", "tcp-latency", Parameters(instrument="qperf"))
Floats = NDArray[np.float64]


class Mesh:
    """A mesh whose pairs differ for good; each run of it is noisy.

    Noise is on the log scale: `noise` of each test with tails wilder than the normal's (Student, 5 degrees of freedom),
    `passes` of all tests of a pass together, `nodes_noise` of all tests of a node in a pass.
    """

    def __init__(self, nodes: int, seed: int, *, noise: float = 0.02, passes: float = 0.01, nodes_noise: float = 0.01):
        self.dice = np.random.default_rng(seed)
        self.count, self.noise, self.passes, self.nodes_noise = nodes, noise, passes, nodes_noise
        self.truth: Floats = self.dice.normal(0, 0.2, (nodes, nodes)) + self.dice.normal(0, 0.1, nodes)[:, None]

    def run(
        self,
        repeats: int,
        changes: Mapping[tuple[int, int] | None, float] | None = None,
        name: str = "run",
        state: str = "complete",
    ) -> Side:
        """One run; `changes` are factors of the bandwidth of a pair, or of all (None). Latency changes inversely."""
        factors = np.ones((self.count, self.count))
        for pair, factor in (changes or {}).items():
            factors[pair if pair is not None else slice(None)] *= factor
        names = [f"node-{number}" for number in range(self.count)]
        rows, columns = (part.ravel() for part in np.indices(self.truth.shape))
        series = {}
        for one, value, scale, sign in (
            (BANDWIDTH, "bits_per_second", 1e9, 1.0),
            (LATENCY, "round_trip_seconds", 1e-4, -1.0),
        ):
            gathered = Gathered(one, names)
            for repeat in range(1, repeats + 1):
                logs = sign * (self.truth + np.log(factors)) + self._noise()
                gathered.fill(rows, columns, repeat, {value: scale * np.exp(logs.ravel())})
            series[one] = gathered
        run = Run(
            id=name,
            name=name,
            state=state,
            started_at="2026-11-23T06:00:00Z",
            netmesh_version="0",
            plan=PlanRecord(),
        )
        return Side(run, tuple(Node(name=one) for one in names), series)

    def _noise(self) -> Floats:
        shape = self.truth.shape
        own = self.noise * self.dice.standard_t(5, shape) / np.sqrt(5 / 3)
        by_node = self.dice.normal(0, self.nodes_noise, self.count)
        noise: Floats = own + self.dice.normal(0, self.passes) + by_node[:, None] + by_node[None, :]
        return noise
