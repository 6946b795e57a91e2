"""The run document `netmesh.run/1`: the shapes that are stored, exported and shown.

Units are SI and stand in the names. A value that is not known is null, never 0.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA: Literal["netmesh.run/1"] = "netmesh.run/1"

Outcome = Literal["measured", "failed", "skipped", "discarded"]
# `interrupted`: nobody measures it now, and a resume goes on with it.
RunState = Literal["running", "interrupted", "complete", "partial", "cancelled", "failed"]
# As large as databases keep an integer.
MOST_REPEAT = 2**31 - 1
# In a run's facts: how long it took, in seconds by a clock that nobody sets. Not of a run that was resumed.
SECONDS = "seconds"
Repeat = Annotated[int, Field(ge=0, le=MOST_REPEAT)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Shape(BaseModel):
    """Base of every part of the document: immutable, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameters(Shape):
    """What a cell was measured with; part of its key. Null where a parameter does not apply or is the default."""

    # A key is compared as a whole, so the file always has every parameter, the nulls too.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    instrument: str
    family: Literal[4, 6] | None = 4
    streams: int | None = None
    message_bytes: int | None = None
    mss_bytes: int | None = None
    direction: Literal["forward", "bidirectional"] | None = None
    load: str | None = None
    offered_bits_per_second: int | None = None
    offered_per_second: int | None = None
    congestion_control: str | None = None


class Reason(Shape):
    """Why a cell has no value: a stable code and a sentence."""

    code: str
    message: str


class Summary(Shape):
    """A value's distribution over the intervals of one test; a single figure has a mean and count 1 only."""

    mean: Finite
    stdev: Finite | None = None
    min: Finite | None = None
    p10: Finite | None = None
    p50: Finite | None = None
    p90: Finite | None = None
    p99: Finite | None = None
    p999: Finite | None = None
    max: Finite | None = None
    count: int = Field(default=1, ge=1)


class CpuCores(Shape):
    """CPU of a whole host in cores (1 = one core fully used), by the modes of proc(5) as the kernel sampled them.

    `busy` is cores - (idle + iowait); `unattributed` is the part of it that the modes do not show.
    """

    user: Finite
    nice: Finite
    system: Finite
    irq: Finite
    softirq: Finite
    steal: Finite
    unattributed: Finite
    busy: Finite
    busiest_core: Finite


class Host(Shape):
    """What a test cost one end, in a window inside the test, on that host's own monotonic clock.

    `cpu_seconds_per_gigabyte` is the whole host above its idle baseline, `tool_cpu_seconds_per_gigabyte` the
    tool's own process tree; a gigabyte is 10^9 bytes received. The first is null where `shared_host` is true:
    then another test ran on the same kernel in the window. `…error…` are their standard uncertainties.

    What the witness is made of: seconds of the window in which the agent's cgroup was throttled, in which some task
    waited for a core (PSI; of the whole host or of that cgroup), that the tool's threads and the agent's waited in the
    run queue, and that the agent's timer was late by.
    """

    cpu_cores: CpuCores | None = None
    cpu_seconds_per_gigabyte: Finite | None = None
    cpu_error_seconds_per_gigabyte: Finite | None = None
    tool_cpu_cores: Finite | None = None
    tool_cpu_seconds_per_gigabyte: Finite | None = None
    tool_cpu_error_seconds_per_gigabyte: Finite | None = None
    memory_bytes: dict[str, int] = Field(default_factory=dict)
    device: dict[str, int | str] = Field(default_factory=dict)
    throttled_seconds: Finite | None = None
    pressure_seconds: Finite | None = None
    pressure_is_hosts: bool = False
    tool_wait_seconds: Finite | None = None
    agent_wait_seconds: Finite | None = None
    loop_late_seconds: Finite | None = None
    window_seconds: Finite | None = None
    shared_host: bool = False


class Hosts(Shape):
    """Both ends of a cell; null where that end could not be watched."""

    source: Host | None = None
    target: Host | None = None


class Witness(Shape):
    """Whether the measuring processes themselves were healthy in the window.

    `figures` has what the signs were read from, by end and sign, such as `target.throttled`: parts of the window, or
    bytes a second for `other_traffic` and `own_traffic`.
    """

    verdict: Literal["healthy", "marked", "starved"]
    signs: list[str] = Field(default_factory=list)
    figures: dict[str, Finite] = Field(default_factory=dict)


class SourcePort(Shape):
    """What became of the probes that left by one source port; seconds are of the network round trip.

    A fabric's hashing may send each port by a way of its own. Counts of several ports add up, minima fold.
    """

    port: int
    sent: int
    lost: int
    min_seconds: Finite | None = None
    p50_seconds: Finite | None = None


class ToolRecord(Shape):
    """Where a cell's numbers come from.

    `congestion_control` is the one that was in use; `reported` holds the tool's own figures beside the values,
    `raw` what it printed of the totals, `source_ports` STAMP's probes by the port that they left by.
    """

    version: str | None = None
    command_source: str | None = None
    command_target: str | None = None
    congestion_control: str | None = None
    reported: dict[str, Finite] = Field(default_factory=dict)
    raw: str | None = None
    source_ports: list[SourcePort] = Field(default_factory=list)


class CellKey(Shape):
    """What identifies a cell in its run."""

    path: str
    test: str
    source: str
    target: str
    repeat: Repeat
    parameters: Parameters


# "A value or a reason" in the words of JSON Schema; `Cell` holds the same rule in Python.
_VALUE_OR_REASON: dict[str, Any] = {
    "if": {"properties": {"outcome": {"const": "measured"}}, "required": ["outcome"]},
    "then": {"properties": {"reason": {"type": "null"}}},
    "else": {"properties": {"reason": {"type": "object"}}, "required": ["reason"]},
}


class Cell(Shape):
    """One ordered pair, one path, one test, one set of parameters: a value or a reason.

    A measured cell has no reason; a failed, skipped or discarded one has a reason, and a discarded one keeps the
    values that are not to be trusted.
    """

    model_config = ConfigDict(json_schema_extra=_VALUE_OR_REASON)

    path: str
    test: str
    source: str
    target: str
    repeat: Repeat
    attempt: int
    parameters: Parameters
    outcome: Outcome
    reason: Reason | None = None
    started_at: str | None = None
    duration_seconds: Finite | None = None
    values: dict[str, Summary | None] = Field(default_factory=dict)
    intervals: dict[str, list[Finite | None]] = Field(default_factory=dict)
    histograms: dict[str, str] = Field(default_factory=dict)
    hosts: Hosts = Hosts()
    witness: Witness | None = None
    tool: ToolRecord = ToolRecord()

    @model_validator(mode="after")
    def _value_or_reason(self) -> Self:
        if (self.outcome == "measured") != (self.reason is None):
            raise ValueError(f"a {self.outcome} cell has {'no reason' if self.reason is None else 'a reason'}")
        return self

    @property
    def key(self) -> CellKey:
        """The cell's key in its run."""
        return CellKey(
            path=self.path,
            test=self.test,
            source=self.source,
            target=self.target,
            repeat=self.repeat,
            parameters=self.parameters,
        )


class Agent(Shape):
    """One agent of a node; `address` is where its tests go, `facts` what it said of itself."""

    role: Literal["pod", "peer", "host"]
    address: str
    facts: dict[str, Any] = Field(default_factory=dict)


class Node(Shape):
    """A node and its agents."""

    name: str
    zone: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    agents: list[Agent] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)

    def agent(self, role: str) -> Agent | None:
        """The node's agent of that role, or None."""
        return next((agent for agent in self.agents if agent.role == role), None)


class Matrix(Shape):
    """One value of one test over all pairs: rows are sources, columns targets; null has its reason beside it."""

    path: str
    test: str
    parameters: Parameters
    value: str
    statistic: str
    unit: str
    sources: list[str]
    targets: list[str]
    values: list[list[Finite | None]]
    reasons: list[list[str | None]]


class PlanRecord(Shape):
    """What the user asked for, beside what it was resolved to."""

    asked: dict[str, Any] = Field(default_factory=dict)
    resolved: dict[str, Any] = Field(default_factory=dict)


class Run(Shape):
    """One sweep."""

    id: str
    name: str | None = None
    state: RunState
    started_at: str
    finished_at: str | None = None
    netmesh_version: str
    plan: PlanRecord
    facts: dict[str, Any] = Field(default_factory=dict)


class Finding(Shape):
    """Something that an engineer should know, with its evidence."""

    kind: str
    where: dict[str, str]
    size: Finite | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    confidence: Finite | None = None
    sentence: str


class RunDocument(Shape):
    """A whole run."""

    # Written under the file's own name, `schema`, by every dump; a file that does not say what it is, is none.
    model_config = ConfigDict(serialize_by_alias=True, json_schema_serialization_defaults_required=True)

    schema_: Literal["netmesh.run/1"] = Field(default=SCHEMA, alias="schema")
    run: Run
    nodes: list[Node]
    cells: list[Cell]
    matrices: list[Matrix]
    findings: list[Finding] = Field(default_factory=list)
