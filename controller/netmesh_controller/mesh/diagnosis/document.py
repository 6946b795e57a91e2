"""A diagnosis as it is stored and shown: `netmesh.diagnosis/1`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from netmesh_controller.mesh.document import Finite, Shape

SCHEMA: Literal["netmesh.diagnosis/1"] = "netmesh.diagnosis/1"

Code = Literal[
    "healthy",
    "unreachable",
    "blocked",
    "loss_on_path",
    "loss_at_host",
    "delay_on_path",
    "jitter_on_path",
    "rate_limited",
    "mtu_black_hole",
    "mtu_mismatch",
    "cpu_bound_sender",
    "cpu_bound_receiver",
    "softirq_bound",
    "throttled",
    "overlay_cost",
    "service_cost",
    "window_limited",
    "asymmetric",
    "bufferbloat",
    "slow_node",
    "slow_zone_pair",
    "contention",
    "insufficient_evidence",
]


class Fact(Shape):
    """One piece of evidence: what was measured, what would be expected, and where that comes from.

    `measured` and `expected` are in SI units, `unit` names them; None is unknown.
    """

    what: str
    measured: Finite | None = None
    expected: Finite | None = None
    unit: str = "1"
    source: str = ""


class Verdict(Shape):
    """What holds, where, how surely (0 to 1), why, and what to do."""

    code: Code
    where: dict[str, str] = Field(default_factory=dict)
    confidence: Finite
    sentence: str
    evidence: list[Fact] = Field(default_factory=list)
    advice: str = ""


class StepRecord(Shape):
    """One step: what it measured and how long it took; `reason` says why it was not done or gave nothing.

    `beside` names the steps that were done in the same time.
    """

    name: str
    title: str
    asked: dict[str, Any] = Field(default_factory=dict)
    seconds: Finite = 0.0
    cells: int = 0
    beside: list[str] = Field(default_factory=list)
    reason: str | None = None


class HostFact(Shape):
    """What an end said of itself: `where` is `pod` or `host`, whose network it is of; `value` in the kernel's words."""

    node: str
    where: Literal["pod", "host"]
    name: str
    value: str


class Cost(Shape):
    """What a diagnosis may come to, whatever it finds: seconds of tests and bytes of traffic; None is unknown."""

    seconds: Finite
    traffic_bytes: Finite | None = None


class Diagnosis(Shape):
    """A whole diagnosis; verdicts are ranked, the first is the answer.

    `most` is what was stated before. `traffic_bytes` is of the steps that were done, at most, by the links' rates.
    """

    model_config = ConfigDict(serialize_by_alias=True, json_schema_serialization_defaults_required=True)

    schema_: Literal["netmesh.diagnosis/1"] = Field(default=SCHEMA, alias="schema")
    source: str
    target: str
    verdicts: list[Verdict]
    steps: list[StepRecord]
    unseen: list[str] = Field(default_factory=list)
    hosts: list[HostFact] = Field(default_factory=list)
    most: Cost | None = None
    traffic_bytes: Finite
    duration_seconds: Finite
    run: str | None = None
