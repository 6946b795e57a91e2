"""What one attempt at a cell left behind: both sides' words and the samples of both hosts. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from netmesh_controller.mesh.document import CellKey, Reason, SourcePort, Summary
from netmesh_controller.mesh.hostsamples import Part, Samples


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a test said: values and intervals by their names, or why there are none.

    `started_seconds` and `ended_seconds` are on that side's own monotonic clock; `tool_cpu_seconds` is user and
    system time of the tool's whole process tree over its whole life. `samples` of its host came with its words.
    """

    command: str
    started_seconds: float
    ended_seconds: float
    tool_cpu_seconds: float | None = None
    failure: Reason | None = None
    values: dict[str, Summary] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    congestion_control: str | None = None
    reported: dict[str, float] = field(default_factory=dict)
    raw: str | None = None
    histograms: dict[str, str] = field(default_factory=dict)
    source_ports: tuple[SourcePort, ...] = ()
    samples: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One attempt at one cell.

    `failure` is what went wrong around the tools (an agent that refused, or that went away); `lost` names the agents,
    as (node, role), that could not be reached. A `load` is no cell; what was measured under one has its rate, in bits
    a second, as `under_load`. `other_test` is true where another test ran on the same kernel meanwhile, `own_traffic`
    where one ran at one of the two nodes, `one_kernel` where source and target share one.
    """

    key: CellKey
    attempt: int
    started_at: str
    duration_seconds: float
    client: Side | None = None
    server: Side | None = None
    failure: Reason | None = None
    lost: frozenset[tuple[str, str]] = frozenset()
    load: bool = False
    under_load: float | None = None
    source_samples: Samples = field(default_factory=Samples)
    target_samples: Samples = field(default_factory=Samples)
    source_version: str | None = None
    source_idle_cores: float | None = None
    target_idle_cores: float | None = None
    source_idle_error_cores: float = 0.0
    target_idle_error_cores: float = 0.0
    other_test: bool = False
    own_traffic: bool = False
    one_kernel: bool = False

    @property
    def reason(self) -> Reason | None:
        """Why there is no value, or None where there is one: an agent's failure comes before its tool's."""
        if self.failure is not None:
            return self.failure
        if self.client is None:
            return Reason(code="tool_failed", message=f"{self.key.source}: its agent ended the test without a result")
        return self.client.failure
