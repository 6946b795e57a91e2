"""What a plan is about to do, in a few numbers: what people are shown before it starts, here or at a far end."""

from __future__ import annotations

import math
from collections import Counter

from pydantic import BaseModel, ConfigDict

from netmesh_controller.mesh.document import Finite, Reason
from netmesh_controller.mesh.estimate import Estimate
from netmesh_controller.mesh.plan import Plan

_REASONS = 10


class OutlineGap(BaseModel):
    """Cells that are known beforehand to have no value, by reason and sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str
    cells: int


class OutlineTraffic(BaseModel):
    """What is sent from one zone to another, or within one; bytes, null where it is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zones: tuple[str, str]
    traffic_bytes: int | None


class OutlineTest(BaseModel):
    """A test and the instruments that run it, each in cells of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str
    instruments: list[str]


class Outline(BaseModel):
    """A plan in short; times in seconds, traffic in bytes, null where it is not known.

    `until` repeats each cell up to `most_repeats` times, which takes `most_seconds` and
    `most_traffic_bytes` at most, the budget included.
    `gaps` has the commonest reasons first, and no more than ten of them; `gap_cells` counts all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: list[str]
    zones: int
    paths: list[str]
    tests: list[OutlineTest]
    pairs: str
    duration_seconds: int
    omit_seconds: int
    repeat: int
    max_concurrent: int | None
    per_zone_pair: int | None = None
    measurements: int
    cells: int
    lower_bound_seconds: Finite
    expected_seconds: Finite
    traffic_bytes: int | None
    traffic_note: str
    traffic_by_zone_pair: list[OutlineTraffic] = []
    gap_cells: int
    gaps: list[OutlineGap]
    further_reasons: int
    until: str | None = None
    most_repeats: int | None = None
    most_seconds: Finite | None = None
    most_traffic_bytes: int | None = None
    budget_seconds: Finite | None = None


def outline_of(plan: Plan, cost: Estimate | None = None) -> Outline:
    """The outline of a plan; `cost` is the plan's own estimate where it is not given."""
    estimate = plan.estimate if cost is None else cost
    ask = plan.ask
    reasons: Counter[Reason] = Counter(gap.reason for gap in plan.gaps if gap.reason is not None)
    common = reasons.most_common(_REASONS)
    return Outline(
        nodes=[node.name for node in plan.nodes],
        zones=len({node.zone for node in plan.nodes if node.zone}),
        paths=list(ask.paths),
        tests=[OutlineTest(test=test, instruments=list(ask.instruments(test))) for test in ask.tests],
        pairs=ask.pairs,
        duration_seconds=ask.duration,
        omit_seconds=ask.omit,
        repeat=ask.repeat,
        max_concurrent=ask.max_concurrent,
        per_zone_pair=ask.per_zone_pair,
        measurements=estimate.measurements,
        cells=estimate.cells,
        lower_bound_seconds=estimate.lower_bound_seconds,
        expected_seconds=estimate.expected_seconds,
        traffic_bytes=estimate.traffic_bytes,
        traffic_note=estimate.traffic_note,
        traffic_by_zone_pair=[
            OutlineTraffic(zones=pair, traffic_bytes=sent) for pair, sent in estimate.traffic_by_zone_pair.items()
        ],
        gap_cells=len(plan.gaps),
        gaps=[OutlineGap(code=reason.code, message=reason.message, cells=number) for reason, number in common],
        further_reasons=len(reasons) - len(common),
        until=ask.until,
        most_repeats=ask.most_repeats if ask.until else None,
        most_seconds=(min(plan.most.expected_seconds, ask.budget or math.inf)) if ask.until else None,
        most_traffic_bytes=plan.most.traffic_bytes if ask.until else None,
        budget_seconds=ask.budget,
    )
