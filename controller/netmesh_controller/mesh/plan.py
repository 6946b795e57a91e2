"""The plan of a sweep: which measurements there are, and which cells are known beforehand to have no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property

from netmesh_common.units import format_bytes, format_duration
from netmesh_controller.mesh import cells, pairs, refusals
from netmesh_controller.mesh.ask import Ask, AskError
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.cells import Case, End, Load
from netmesh_controller.mesh.document import Cell, CellKey, Node, Parameters, Reason
from netmesh_controller.mesh.estimate import Estimate, estimate
from netmesh_controller.mesh.paths import PATHS, roles

IDLE_TEST = "idle"


@dataclass(frozen=True, slots=True)
class Variant:
    """What many measurements have in common: a test on a path, what it is run with, its expected seconds.

    `load` runs beside it on the same pair and is no cell of its own. `outside`: the target is no node.
    """

    path: str
    test: str
    parameters: Parameters
    seconds: float
    load: Load | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """What runs at once and alone on its nodes; `index` is its place in the plan.

    A mesh of 1,000 nodes has a million of these, so that one holds references only and makes its cells' keys when
    they are asked for. Names are the document's. `beside` run in the same group at the same time, on the same two
    nodes, and count each by itself: light tests that do not take each other's place.
    """

    index: int
    variant: Variant
    source: str
    target: str
    repeat: int
    beside: tuple[Measurement, ...] = ()

    @property
    def cells(self) -> tuple[CellKey, ...]:
        """The cells that it measures: one, or both directions where they are measured at once, and those beside it.

        A local cell is one, also where both directions run: it is then its node's agent's figure.
        """
        if self.beside:
            return (*replace(self, beside=()).cells, *(key for one in self.beside for key in one.cells))
        forward = self._key(self.source, self.target)
        if self.source == self.target or self.variant.parameters.direction != "bidirectional":
            return (forward,)
        return forward, self._key(self.target, self.source)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it takes for itself: one for a local cell or a target outside of the mesh, else two."""
        if self.source == self.target or self.variant.outside:
            return (self.source,)
        return self.source, self.target

    @property
    def seconds(self) -> float:
        """How long it is expected to take, the tool's own overhead included."""
        # Asked for all that runs, many times a second.
        return max(self.variant.seconds, *(one.seconds for one in self.beside)) if self.beside else self.variant.seconds

    def _key(self, source: str, target: str) -> CellKey:
        variant = self.variant
        return CellKey(
            path=variant.path,
            test=variant.test,
            source=source,
            target=target,
            repeat=self.repeat,
            parameters=variant.parameters,
        )


@dataclass(frozen=True)
class Plan:
    """What a sweep does. `measurements[i].index` is i; `gaps` are cells with their reason, not measured at all.

    `idle` are the cells of the nodes at rest, watched all at once for `ask.duration` before the first measurement.
    `targets` are the (address, port) of those outside of the mesh, by name.
    """

    ask: Ask
    nodes: tuple[Node, ...]
    measurements: tuple[Measurement, ...]
    gaps: tuple[Cell, ...]
    idle: tuple[CellKey, ...] = ()
    targets: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def idle_seconds(self) -> int:
        """How long the nodes are watched at rest; 0 where they are not."""
        return self.ask.duration if self.idle else 0

    @property
    def keys(self) -> Iterator[CellKey]:
        """The keys of all cells, those known beforehand to be gaps included."""
        yield from self.idle
        for one in self.measurements:
            yield from one.cells
        for gap in self.gaps:
            yield gap.key

    @cached_property
    def estimate(self) -> Estimate:
        """What it will cost."""
        return estimate(
            self.measurements,
            self.nodes,
            self.ask.max_concurrent,
            per_zone_pair=self.ask.per_zone_pair,
            idle_cells=len(self.idle),
            idle_seconds=self.idle_seconds,
        )

    @property
    def most(self) -> Estimate:
        """What it will cost at most: where every cell is repeated as often as `--until` may."""
        return _at_most(self.estimate, self.ask.most_repeats / self.ask.repeat, self.idle_seconds)


def _at_most(cost: Estimate, factor: float, idle_seconds: float) -> Estimate:
    """The cost where everything but watching idle hosts is done so many times."""
    return replace(
        cost,
        measurements=round(cost.measurements * factor),
        cells=round(cost.cells * factor),
        lower_bound_seconds=idle_seconds + (cost.lower_bound_seconds - idle_seconds) * factor,
        expected_seconds=idle_seconds + (cost.expected_seconds - idle_seconds) * factor,
        traffic_bytes=None if cost.traffic_bytes is None else round(cost.traffic_bytes * factor),
    )


def make_plan(
    ask: Ask, nodes: Sequence[Node], *, unreachable: Mapping[str, Reason] | None = None, services: bool = False
) -> Plan:
    """Every cell of the chosen pairs, as a measurement or as a gap.

    `unreachable` says why a node cannot be asked; `services`: there are Services in front of the agents. The
    measurements of one pair follow one another, pairs in rounds of perfect matchings, repeats one whole pass after the
    other. Raises AskError where the nodes do not allow what was asked for, or where more traffic is to be expected than
    `ask.max_traffic`.
    """
    if not nodes:
        raise AskError("pairs", "there is no node to measure")
    if ask.per_zone_pair is not None and not any(node.zone for node in nodes):
        raise AskError("per-zone-pair", "it cannot be held: no node says in which zone it is")
    made = _made(ask, nodes, unreachable or {}, services=services)
    if ask.budget is not None and made.estimate.expected_seconds > ask.budget:
        made = _within(ask.budget, ask, made, lambda fewer: _made(fewer, nodes, unreachable or {}, services=services))
    _check_traffic(made)
    return made


def _within(budget: float, ask: Ask, whole: Plan, made: Callable[[Ask], Plan]) -> Plan:
    """As many rounds of perfect matchings as a budget of seconds allows: every node is then measured equally.

    AskError where not even one fits, or where the pairs were chosen otherwise.
    """
    choice = pairs.parse_pairs(ask.pairs)
    needs = format_duration(whole.estimate.expected_seconds)
    if choice.kind not in ("all", "sample") or len(whole.nodes) < 2:
        raise AskError("budget", f"the pairs {ask.pairs} need about {needs}, more than {format_duration(budget)}")
    rounds = len(whole.nodes) - 1 + len(whole.nodes) % 2
    rounds = min(rounds, choice.rounds) if choice.kind == "sample" else rounds
    fewest = made(ask.model_copy(update={"pairs": "sample:1"}))
    if fewest.estimate.expected_seconds > budget:
        least = format_duration(fewest.estimate.expected_seconds)
        raise AskError("budget", f"one round of pairs needs about {least}, more than {format_duration(budget)}")
    # Each round adds the same work to each node, all but exactly.
    fit, plan = 1, fewest
    if rounds > 1:
        second = made(ask.model_copy(update={"pairs": "sample:2"})).estimate.expected_seconds
        spare = budget - fewest.estimate.expected_seconds
        fit = 1 + min(rounds - 1, int(spare / max(second - fewest.estimate.expected_seconds, 1e-9)))
    while fit > 1:
        plan = made(ask.model_copy(update={"pairs": f"sample:{fit}"}))
        if plan.estimate.expected_seconds <= budget:
            return plan
        fit -= 1
    return fewest


def _made(ask: Ask, nodes: Sequence[Node], unreachable: Mapping[str, Reason], *, services: bool) -> Plan:
    names = [node.name for node in nodes]
    targets = {target.name: (target.address, target.port) for target in ask.outside}
    for name in names:
        if name in targets:
            raise AskError("targets", f"a node is called '{name}' already")
    builder = _Builder(ask, nodes, unreachable, services=services)
    choice = pairs.parse_pairs(ask.pairs)
    for repeat in range(1, ask.repeat + 1):
        try:
            chosen = pairs.blocks(choice, names, [node.zone for node in nodes])
        except ValueError as error:
            raise AskError("pairs", str(error)) from None
        for block in chosen:
            builder.add(block, repeat)
        for node in pairs.alone(choice, names):
            builder.add_alone(node, repeat, local=choice.kind in ("sample", "zones"))
    idle = builder.idle() if IDLE_TEST in ask.tests else ()
    plan = Plan(ask, tuple(nodes), tuple(builder.measurements), tuple(builder.gaps), idle, targets)
    if not (plan.measurements or plan.gaps or plan.idle):
        if not ask.include_control_plane and all(node.facts.get("control_plane") for node in nodes):
            raise AskError(
                "include-control-plane",
                "all of these nodes run the control plane, which bandwidth tests leave alone without it",
            )
        raise AskError("pairs", f"{ask.pairs} has no cell on {', '.join(ask.paths)} for {', '.join(ask.tests)}")
    return plan


def _check_traffic(plan: Plan) -> None:
    most = plan.ask.max_traffic
    if most is None:
        return
    cost = plan.most
    if cost.traffic_unknown:
        raise AskError("max-traffic", f"the traffic is not known ({cost.traffic_note}); limit it by --max-rate")
    if cost.traffic_bytes is not None and cost.traffic_bytes > most:
        raise AskError(
            "max-traffic",
            f"the plan sends {format_bytes(cost.traffic_bytes)} ({cost.traffic_note}), more than {format_bytes(most)}",
        )


def at_once(plans: Sequence[Plan]) -> Plan:
    """The plans of light tests as one, in which all that is between the same two nodes runs at the same time.

    They are of the same nodes and durations; ValueError where a test fills the path or runs under a load.
    """
    first = plans[0]
    by_pair: dict[frozenset[str], list[Measurement]] = {}
    for one in (one for plan in plans for one in plan.measurements):
        if one.variant.load is not None or TESTS[one.variant.test].kind == "bandwidth":
            raise ValueError(f"{one.variant.test} fills the path, and runs alone")
        by_pair.setdefault(frozenset(one.nodes), []).append(one)
    together = tuple(
        replace(same[0], index=index, beside=tuple(same[1:])) for index, same in enumerate(by_pair.values())
    )
    return replace(first, measurements=together, gaps=tuple(gap for plan in plans for gap in plan.gaps))


def fills(plan: Plan) -> bool:
    """Whether a test of the plan fills the path that it takes."""
    return any(TESTS[one.variant.test].kind == "bandwidth" for one in plan.measurements)


def only_loaded(plan: Plan) -> Plan:
    """The plan of what runs under a load."""
    loaded = (one for one in plan.measurements if one.variant.load is not None)
    return replace(plan, measurements=tuple(replace(one, index=index) for index, one in enumerate(loaded)))


def remaining(plan: Plan, done: AbstractSet[CellKey]) -> Plan:
    """The plan of what is not in `done`: what a resumed sweep still has to do.

    A measurement of both directions runs again where either cell is missing.
    """
    left = (one for one in plan.measurements if not all(key in done for key in one.cells))
    return replace(
        plan,
        measurements=tuple(replace(one, index=index) for index, one in enumerate(left)),
        gaps=tuple(gap for gap in plan.gaps if gap.key not in done),
        idle=tuple(key for key in plan.idle if key not in done),
    )


def _wanted(test: str, ask: Ask) -> list[Case]:
    """The cases of a test; what would run beside them unasked is left out where it cannot."""
    return [
        case
        for case in cells.cases(test, ask)
        if not ask.is_beside(test, case.instrument) or refusals.refused_everywhere(case, ask) is None
    ]


class _Builder:
    """Collects measurements and gaps; what is the same for many pairs is worked out once."""

    def __init__(self, ask: Ask, nodes: Sequence[Node], unreachable: Mapping[str, Reason], *, services: bool) -> None:
        self.measurements: list[Measurement] = []
        self.gaps: list[Cell] = []
        self._ask, self._nodes, self._unreachable = ask, nodes, unreachable
        self._names = [node.name for node in nodes]
        self._control_plane = [bool(node.facts.get("control_plane")) for node in nodes]
        tests = [test for test in ask.tests if test != IDLE_TEST]
        what = [(path, case) for path in ask.paths for test in tests for case in _wanted(test, ask)]
        self._remote, self._local = (
            [
                _Series(ask, nodes, unreachable, path, case, local=local, services=services)
                for path, case in what
                if (PATHS[path].local if local else PATHS[path].remote) is not None
            ]
            for local in (False, True)
        )
        self._only_local = [series for series in self._local if PATHS[series.path].remote is None]
        self._outside = [
            (target, _Series(ask, nodes, unreachable, target.path, case, local=False, services=services))
            for target in ask.outside
            for test in tests
            for case in dict.fromkeys(replace(case, family=target.family) for case in _wanted(test, ask))
            if case.load is None and ask.reaches_targets(test, case.instrument)
        ]

    def add(self, block: pairs.Block, repeat: int) -> None:
        """Adds what is measured between the nodes of a block."""
        source, target = block[0]
        for series in self._local if source == target else self._remote:
            for source, target in block[:1] if series.both_at_once else block:
                self._add(series, source, self._names[target], repeat, target)

    def add_alone(self, node: int, repeat: int, *, local: bool) -> None:
        """Adds what is measured from a node to targets outside; and, if `local`, on paths with local cells only."""
        if local:
            for series in self._only_local:
                self._add(series, node, self._names[node], repeat, node)
        for target, series in self._outside:
            self._add(series, node, target.name, repeat)

    def idle(self) -> tuple[CellKey, ...]:
        """The cells of the nodes at rest, once a run; a node that cannot be asked is a gap."""
        keys = []
        for node in self._nodes:
            key = CellKey(
                # The host is the same whichever way its traffic takes.
                path=self._ask.paths[0],
                test=IDLE_TEST,
                source=node.name,
                target=node.name,
                repeat=1,
                parameters=Parameters(instrument=TESTS[IDLE_TEST].default_instrument, family=None),
            )
            reason = self._unreachable.get(node.name)
            if reason is None and not node.agents:
                reason = Reason(code="agent_away", message=f"{node.name} has no agent that answers")
            if reason is None:
                keys.append(key)
            else:
                self.gaps.append(Cell(**dict(key), attempt=0, outcome="skipped", reason=reason))
        return tuple(keys)

    def _add(self, series: _Series, source: int, name: str, repeat: int, target: int | None = None) -> None:
        if series.spares_control_plane and (
            self._control_plane[source] or (target is not None and self._control_plane[target])
        ):
            # Not planned, and so no gap: the matrix says not_scheduled.
            return
        reason = series.refused_by_source[source]
        mtu_bytes = series.source_mtu[source]
        if target is not None:
            reason = reason or series.refused_by_target[target]
            mtu_bytes = min(mtu_bytes, series.target_mtu[target])
        one = Measurement(len(self.measurements), series.variant(mtu_bytes), self._names[source], name, repeat)
        if reason is None:
            self.measurements.append(one)
        else:
            self.gaps += [Cell(**dict(key), attempt=0, outcome="skipped", reason=reason) for key in one.cells]


class _Series:
    """A case on a path, over all nodes: what each of them says to it, as source and as target."""

    def __init__(
        self,
        ask: Ask,
        nodes: Sequence[Node],
        unreachable: Mapping[str, Reason],
        path: str,
        case: Case,
        *,
        local: bool,
        services: bool,
    ) -> None:
        self._ask, self.path, self._case = ask, path, case
        self._outside = PATHS[path].outside
        # What fills a link can keep a control plane from answering its whole cluster.
        fills = case.kind.kind == "bandwidth" or case.load is not None
        self.spares_control_plane = fills and not ask.include_control_plane
        self.both_at_once = ask.bidirectional and case.kind.kind == "bandwidth"
        everywhere = refusals.refused_everywhere(case, ask)
        if everywhere is None and PATHS[path].via_service and not services:
            everywhere = Reason(code="service_not_ready", message="there are no Services in front of these agents")

        def refused(ends: Sequence[End]) -> list[Reason | None]:
            return [everywhere or unreachable.get(end.node) or refusals.refused_by(end, case, ask) for end in ends]

        at_source, at_target = (self._outside, None) if self._outside is not None else roles(path, local=local)
        sources = [cells.end_of(node, at_source) for node in nodes]
        targets = [] if at_target is None else [cells.end_of(node, at_target) for node in nodes]
        self.refused_by_source, self.refused_by_target = refused(sources), refused(targets)
        self.source_mtu = [end.mtu_bytes for end in sources]
        self.target_mtu = [end.mtu_bytes for end in targets]
        self._variants: dict[int, Variant] = {}

    def variant(self, mtu_bytes: int) -> Variant:
        """What the cells have in common where the smaller MTU is `mtu_bytes`."""
        known = self._variants.get(mtu_bytes)
        if known is None:
            known = Variant(
                self.path,
                self._case.test,
                cells.parameters(self._case, self._ask, mtu_bytes, bidirectional=self.both_at_once),
                cells.seconds(self._case, self._ask),
                cells.load_for(self._case, self._ask),
                self._outside is not None,
            )
            self._variants[mtu_bytes] = known
        return known
