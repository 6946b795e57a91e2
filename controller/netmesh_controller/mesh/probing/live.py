"""The mesh as it stands: for every pair a figure of the last window, or the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.document import Parameters, Reason
from netmesh_controller.mesh.instruments import STAMP
from netmesh_controller.mesh.probing.scale import decode
from netmesh_controller.mesh.probing.windows import Window
from netmesh_controller.mesh.table import Series, Table

PATH: Literal["pod-to-pod"] = "pod-to-pod"
SERIES = Series(PATH, "udp-latency", Parameters(instrument=STAMP))
TIME, LOSS = "network_round_trip_seconds", "loss_ratio"
Statistic = Literal["min", "p50", "max", "loss", "sent", "lost"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
_UNITS = {"loss": "1", "sent": "1", "lost": "1"}
# Of reasons; their place is their number in a table and in the history.
CODES = (
    "",
    "not_applicable",
    "not_scheduled",
    "agent_away",
    "agent_lost",
    "loss",
    "unreachable",
    "tool_output",
    "timeout",
)

# Answers came, and none with all four stamps.
NO_STAMPS = CODES.index("tool_output")


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Nodes and what is known of them in a window.

    `zones` and `probed` (n, n) go with `nodes`; `missing` are nodes whose agent tells nothing, with the reason; `own`
    are nodes at which tests of netmesh's own ran, `marked` those whose agent was not healthy, with the witness' signs.
    `fresh` are nodes that are new or have been started again; `was_missing` are nodes whose agent told nothing in an
    earlier part of the window, with the last reason.
    """

    nodes: tuple[str, ...] = ()
    zones: tuple[str | None, ...] = ()
    probed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    missing: Mapping[str, Reason] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    marked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()
    was_missing: Mapping[str, Reason] = field(default_factory=dict)

    def places(self, names: frozenset[str] | Mapping[str, object]) -> NDArray[np.intp]:
        """The places of those of the names that are in the mesh."""
        return np.array([place for place, name in enumerate(self.nodes) if name in names], dtype=np.intp)


def signs_beside(told: Mapping[str, tuple[str, ...]], own: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The witness' signs by node, without the traffic of netmesh's own tests, which nobody else caused.

    `own` are the nodes at which such tests ran; a node without another sign is left out.
    """
    left = {
        name: tuple(sign for sign in signs if sign != "other_traffic" or name not in own)
        for name, signs in told.items()
    }
    return {name: signs for name, signs in left.items() if signs}


def over(parts: Sequence[Standing]) -> Standing:
    """How a window's last part stood, with the tests, signs and absences of all its parts; there is one at least."""
    marked: dict[str, tuple[str, ...]] = {}
    absent: dict[str, Reason] = {}
    for part in parts:
        for name, reason in part.missing.items():
            # That it has just begun again says less than why it had to.
            if reason.code != "not_scheduled" or name not in absent:
                absent[name] = reason
        for name, signs in part.marked.items():
            marked[name] = tuple(dict.fromkeys((*marked.get(name, ()), *signs)))
    own = frozenset().union(*(part.own for part in parts))
    return replace(parts[-1], own=own, marked=marked, was_missing=absent)


def reasons_of(standing: Standing, window: Window) -> NDArray[np.uint8]:
    """Why a pair has no count of probes, as places in `CODES`; 0 where it has one.

    Probes to a node whose agent is gone are lost for that reason, and say nothing of the network: where all of them
    are, the agent is the reason. Where a pair that should be probed has none, and the agent of either node is back, the
    reason is that of its absence.
    """
    size = len(standing.nodes)
    reasons = np.where(window.sent > 0, 0, CODES.index("not_scheduled")).astype(np.uint8)
    nothing = (window.sent == 0) | (window.lost >= window.sent)
    if standing.was_missing:
        wanting = (window.sent == 0) & standing.probed
        for place, code in _codes(standing, standing.was_missing):
            reasons[place, wanting[place]] = code
            reasons[wanting[:, place], place] = code
    for place, code in _codes(standing, standing.missing):
        reasons[place, window.sent[place] == 0] = code
        reasons[nothing[:, place], place] = code
    reasons[np.arange(size), np.arange(size)] = CODES.index("not_applicable")
    return reasons


def _codes(standing: Standing, missing: Mapping[str, Reason]) -> Iterator[tuple[int, int]]:
    """The places of nodes whose agent tells or told nothing, and of their reasons in `CODES`."""
    for place, name in enumerate(standing.nodes):
        reason = missing.get(name)
        if reason is not None:
            yield place, CODES.index(reason.code if reason.code in CODES else "unreachable")


def table(standing: Standing, window: Window, statistic: Statistic) -> Table:
    """One statistic of a window: times in seconds, `loss` as a ratio, `sent` and `lost` as counts."""
    reasons = reasons_of(standing, window)
    if statistic == "loss":
        value, values = LOSS, window.loss_ratio
    elif statistic in ("sent", "lost"):
        value = statistic
        values = np.where(window.sent > 0, window.sent if statistic == "sent" else window.lost, np.nan).astype(float)
    else:
        value = TIME
        values = decode({"min": window.shortest, "p50": window.middle, "max": window.longest}[statistic])
        timeless = (reasons == 0) & np.isnan(values)
        reasons[timeless] = np.where((window.lost >= window.sent)[timeless], CODES.index("loss"), NO_STAMPS)
        for place, code in _codes(standing, standing.missing):
            # It answered, and ended before it told of its stamps.
            reasons[timeless[:, place], place] = code
    values = np.where(reasons == 0, values, np.nan)
    unit = _UNITS.get(statistic, "s")
    name = "mean" if statistic == "loss" else statistic
    return Table(SERIES, value, name, unit, standing.nodes, standing.nodes, values, reasons, CODES)
