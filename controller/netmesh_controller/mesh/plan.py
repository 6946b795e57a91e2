"""The plan of a sweep: which measurements there are, and which cells are known beforehand to have no value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from netmesh_controller.mesh import cells, pairs
from netmesh_controller.mesh.ask import Ask, AskError
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, CellKey, Node, Parameters, Reason
from netmesh_controller.mesh.estimate import Estimate, estimate
from netmesh_controller.mesh.paths import roles


@dataclass(frozen=True, slots=True)
class Variant:
    """What many measurements have in common: a test on a path, what it is run with, its expected seconds."""

    path: str
    test: str
    parameters: Parameters
    seconds: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What runs at once and alone on its nodes; `index` is its place in the plan.

    A mesh of 1,000 nodes has a million of these, so that one holds references only and makes its cells' keys when
    they are asked for. Names are the document's.
    """

    index: int
    variant: Variant
    source: str
    target: str
    repeat: int

    @property
    def cells(self) -> tuple[CellKey, ...]:
        """The cells that it measures: one, or both directions where they are measured at once.

        A local cell is one, also where both directions run: it is then its node's agent's figure.
        """
        forward = self._key(self.source, self.target)
        if self.source == self.target or self.variant.parameters.direction != "bidirectional":
            return (forward,)
        return forward, self._key(self.target, self.source)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it takes for itself: one for a local cell, else two."""
        return (self.source,) if self.source == self.target else (self.source, self.target)

    @property
    def seconds(self) -> float:
        """How long it is expected to take, the tool's own overhead included."""
        return self.variant.seconds

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
    """What a sweep does. `measurements[i].index` is i; `gaps` are cells with their reason, not measured at all."""

    ask: Ask
    nodes: tuple[Node, ...]
    measurements: tuple[Measurement, ...]
    gaps: tuple[Cell, ...]

    @cached_property
    def estimate(self) -> Estimate:
        """What it will cost."""
        return estimate(self.measurements, self.nodes, self.ask.max_concurrent)


def make_plan(ask: Ask, nodes: Sequence[Node], *, unreachable: Mapping[str, Reason] | None = None) -> Plan:
    """Every cell of the chosen pairs, as a measurement or as a gap; `unreachable` says why a node cannot be asked.

    The measurements of one pair follow one another, pairs in rounds of perfect matchings, repeats one whole pass
    after the other. Raises AskError where the nodes do not allow what was asked for.
    """
    if not nodes:
        raise AskError("pairs", "there is no node to measure")
    builder = _Builder(ask, nodes, unreachable or {})
    choice = pairs.parse_pairs(ask.pairs)
    for repeat in range(1, ask.repeat + 1):
        try:
            chosen = pairs.blocks(choice, [node.name for node in nodes], [node.zone for node in nodes])
        except ValueError as error:
            raise AskError("pairs", str(error)) from None
        for block in chosen:
            builder.add(block, repeat)
    return Plan(ask, tuple(nodes), tuple(builder.measurements), tuple(builder.gaps))


def remaining(plan: Plan, done: AbstractSet[CellKey]) -> Plan:
    """The plan of what is not in `done`: what a resumed sweep still has to do.

    A measurement of both directions runs again where either cell is missing.
    """
    left = (one for one in plan.measurements if not all(key in done for key in one.cells))
    return replace(
        plan,
        measurements=tuple(replace(one, index=index) for index, one in enumerate(left)),
        gaps=tuple(gap for gap in plan.gaps if gap.key not in done),
    )


class _Builder:
    """Collects measurements and gaps; what is the same for many pairs is worked out once."""

    def __init__(self, ask: Ask, nodes: Sequence[Node], unreachable: Mapping[str, Reason]) -> None:
        self.measurements: list[Measurement] = []
        self.gaps: list[Cell] = []
        self._names = [node.name for node in nodes]
        self._remote, self._local = (
            [_Series(ask, nodes, unreachable, path, test, local=local) for path in ask.paths for test in ask.tests]
            for local in (False, True)
        )

    def add(self, block: pairs.Block, repeat: int) -> None:
        """Adds what is measured between the nodes of a block."""
        names, measurements = self._names, self.measurements
        source, target = block[0]
        for series in self._local if source == target else self._remote:
            for source, target in block[:1] if series.both_at_once else block:
                reason = series.refused_by_source[source] or series.refused_by_target[target]
                variant = series.variant(min(series.source_mtu[source], series.target_mtu[target]))
                one = Measurement(len(measurements), variant, names[source], names[target], repeat)
                if reason is None:
                    measurements.append(one)
                else:
                    self.gaps += [Cell(**dict(key), attempt=0, outcome="skipped", reason=reason) for key in one.cells]


class _Series:
    """A test on a path, over all nodes: what each of them says to it, as source and as target."""

    def __init__(
        self, ask: Ask, nodes: Sequence[Node], unreachable: Mapping[str, Reason], path: str, test: str, *, local: bool
    ) -> None:
        self._ask, self._path, self._test = ask, path, test
        self.both_at_once = ask.bidirectional and TESTS[test].kind == "bandwidth"
        everywhere = cells.refused_everywhere(test, ask)
        sources, targets = ([cells.end_of(node, role) for node in nodes] for role in roles(path, local=local))
        self.refused_by_source, self.refused_by_target = (
            [everywhere or unreachable.get(end.node) or cells.refused_by(end, test, ask) for end in ends]
            for ends in (sources, targets)
        )
        self.source_mtu = [end.mtu_bytes for end in sources]
        self.target_mtu = [end.mtu_bytes for end in targets]
        self._variants: dict[int, Variant] = {}

    def variant(self, mtu_bytes: int) -> Variant:
        """What the test's cells have in common where the smaller MTU is `mtu_bytes`."""
        known = self._variants.get(mtu_bytes)
        if known is None:
            with_what = cells.parameters(self._test, self._ask, mtu_bytes, bidirectional=self.both_at_once)
            known = Variant(self._path, self._test, with_what, cells.seconds(self._test, self._ask))
            self._variants[mtu_bytes] = known
        return known
