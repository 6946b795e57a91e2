"""What an engineer should know of a run, each with its evidence in numbers, a confidence and a sentence.

docs/findings.md tells what each kind means. A finding that chance alone could have made is not made: see `outstanding`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from netmesh_controller.mesh.document import Cell, Finding, Node
from netmesh_controller.mesh.findings.again import (
    Again,
    again_of,
    contention,
    recovered,
    said_alone,
    was_measured,
    worst_cells,
)
from netmesh_controller.mesh.findings.asymmetric import has_two_ways, of_uneven, uneven_pairs
from netmesh_controller.mesh.findings.history import outliers
from netmesh_controller.mesh.findings.mtu import odd_mtus
from netmesh_controller.mesh.findings.outstanding import ALPHA
from netmesh_controller.mesh.findings.places import BadNode, BadPair, BadZones
from netmesh_controller.mesh.findings.scale import read_of
from netmesh_controller.mesh.findings.series import Bad, Fitted, Places, by_series, places
from netmesh_controller.mesh.findings.signs import Signs
from netmesh_controller.mesh.findings.words import of_node, of_pair, of_zones
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series, Table

__all__ = ["Again", "Signs", "find", "read_of", "to_measure_again"]


def find(
    nodes: Sequence[Node],
    gathered: Mapping[Series, Gathered],
    *,
    cells: Iterable[Cell] = (),
    signs: Signs | None = None,
    duration_seconds: float = 1.0,
    again: Mapping[Again, float] | None = None,
    history: Sequence[Mapping[tuple[Series, str], Table]] = (),
    beside: bool = True,
) -> list[Finding]:
    """The findings of a run, the worst first.

    `gathered` has its cells by series (see `matrix.gathered`); `cells` are the same once more, for what single cells
    show (CPU, flapping), and may be left out; `signs` have seen them already. `duration_seconds` is how long each test
    ran. `again` has the bandwidths (bit/s) of what `to_measure_again` named, each measured alone. `history` has the
    tables of earlier runs of the same mesh by (series, value), three at least for anything to be told from them.
    `beside` tells whether tests ran beside others: else what is faster alone is no contention.
    """
    signs = signs or Signs()
    for cell in cells:
        signs.add(cell)
    found = odd_mtus(gathered, nodes) + signs.findings()
    fitted = by_series(gathered, nodes, duration_seconds)
    for one in fitted:
        found += _of_series(one, _share(one, fitted, history), again or {}, history, beside)
    return sorted(found, key=_badness, reverse=True)


def to_measure_again(
    nodes: Sequence[Node], gathered: Mapping[Series, Gathered], *, duration_seconds: float = 1.0
) -> list[Again]:
    """The bandwidth cells to measure again alone before findings are stated: at most 5 % of each series, or four."""
    fitted = by_series(gathered, nodes, duration_seconds)
    return worst_cells([(one, _share(one, fitted)) for one in fitted])


def _share(one: Fitted, fitted: Sequence[Fitted], history: Sequence[object] = ()) -> float:
    """The probability that each part of a figure may spend: its places, its asymmetry, its history.

    What is not looked at spends nothing: it would only take power from the rest.
    """
    parts = 1 + has_two_ways(one) + bool(history)
    return ALPHA / len(fitted) / parts


def _of_series(
    one: Fitted,
    alpha: float,
    measured: Mapping[Again, float],
    history: Sequence[Mapping[tuple[Series, str], Table]],
    beside: bool,
) -> list[Finding]:
    again = again_of(one, measured)
    # What would be said if nothing had been measured again, so that what recovered is said to have.
    gone = [bad for bad in places(one, alpha).every if recovered(one, bad, again)]

    def holds(bad: Bad) -> bool:
        # Where one pair was only held up, so may be those whose tests nobody repeated.
        return not recovered(one, bad, again) and (
            not gone or not isinstance(bad, BadPair) or was_measured(one, bad, again)
        )

    found = places(one, alpha, again)
    kept = Places(
        [bad for bad in found.nodes if holds(bad)],
        [bad for bad in found.zones if holds(bad)],
        [bad for bad in found.pairs if holds(bad)],
    )
    made = [contention(one, _finding(one, bad), bad, again) for bad in gone if beside and not isinstance(bad, BadPair)]
    made += [said_alone(one, _finding(one, bad), bad, again) for bad in kept.every]
    uneven = uneven_pairs(one, kept, alpha, again)
    made += [said_alone(one, of_uneven(one, bad), bad, again) for bad in uneven if holds(bad)]
    return made + outliers(one, history, alpha, again)


def _finding(one: Fitted, bad: Bad) -> Finding:
    if isinstance(bad, BadNode):
        return of_node(one, bad)
    return of_zones(one, bad) if isinstance(bad, BadZones) else of_pair(one, bad)


def _badness(finding: Finding) -> tuple[bool, float]:
    """What is out of the ordinary goes before what is only remarked, and the farther off the earlier."""
    deviation = finding.evidence.get("deviation", 0.0)
    remark = finding.kind in ("cpu_bound", "contention", "asymmetric_pair")
    return not remark, float(deviation) if math.isfinite(deviation) else 0.0
