"""What the windows of the continuous probe say is out of the ordinary: findings, as those of a sweep. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.fit import fit
from netmesh_controller.mesh.findings.places import BadNode, BadZones
from netmesh_controller.mesh.findings.scale import looked_at
from netmesh_controller.mesh.findings.series import Fitted, places
from netmesh_controller.mesh.findings.words import figure, of_node, of_pair, of_zones
from netmesh_controller.mesh.probing.live import LOSS, SERIES, TIME, Standing
from netmesh_controller.mesh.probing.losses import OF_MANY, Losses, Lossy, Part, chance, losses
from netmesh_controller.mesh.probing.scale import decode
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, Window
from netmesh_controller.mesh.table import Floats

# There are 17,280 windows a day, and an event needs three: that follow each other, or of those that are added up.
ALPHA = 1e-4
# What is less than this above the usual hurts nobody: a scheduler's whim on a quiet link.
LEAST_SECONDS = 200e-6
# So many windows are added up for losses.
WINDOWS_OF_LOSSES = 30 // BASE_SECONDS
# And so many of them must have the loss: one that lasts a moment, on both sides of a window's end, is none.
_LEAST_WINDOWS = 3
# A loss that is too small for half a minute is found in so many minutes, where it was in most of them and in one of the
# last: it has not ended.
MINUTES_OF_LOSSES = 10
_LEAST_MINUTES, _LATE_MINUTES, _LEAST_SHARE = 6, 3, 0.5
_LEAST_CELLS = 8
_SLOW = replace(next(one for one in looked_at("udp-latency") if one.kind == "slow"), value=TIME)
_EXPLAIN = (("slow_node", "slow_pair"), ("lossy_node", "lossy_pair"))
_ABOUT = {"path": SERIES.path, "test": SERIES.test}


def unjudged(standing: Standing) -> frozenset[str]:
    """Nodes of which this window says nothing: their agent is gone, or tests of netmesh's own ran there."""
    return frozenset(standing.missing) | standing.own


def judged(window: Window, standing: Standing) -> Window:
    """The window with no probes counted at nodes of which it says nothing: it is added to later ones."""
    silent = standing.places(unjudged(standing) | standing.fresh)
    sent, lost = window.sent.copy(), window.lost.copy()
    for counts in (sent, lost):
        counts[silent, :] = counts[:, silent] = 0
    return replace(window, sent=sent, lost=lost)


def judge(windows: Sequence[Window], standing: Standing) -> list[Finding]:
    """The findings of the last of some base windows that follow each other, each as `judged` gives it.

    They are of the nodes of `standing`, which is that of the last.
    """
    silent, names, zone = _arranged(standing)
    last = windows[-WINDOWS_OF_LOSSES:]
    found = losses(*_added(last, silent), zone, ALPHA).lasting(_parts(last), zone, _LEAST_WINDOWS)
    return _slow(windows[-1], standing, silent, names, zone) + _lossy(found, standing, names, zone)


def judge_minutes(minutes: Sequence[Window], standing: Standing) -> list[Finding]:
    """What loses little and all the time, of minutes that follow each other, each as `judged` gives it; nothing of
    fewer than `MINUTES_OF_LOSSES`.
    """
    last = minutes[-MINUTES_OF_LOSSES:]
    if len(last) < MINUTES_OF_LOSSES:
        return []
    silent, names, zone = _arranged(standing)
    parts = _parts(last)
    found = losses(*_added(last, silent), zone, ALPHA, of_a_pair=OF_MANY).lasting(
        parts, zone, _LEAST_MINUTES, share=_LEAST_SHARE
    )
    return _lossy(found.lasting(parts[-_LATE_MINUTES:], zone, 1, share=_LEAST_SHARE), standing, names, zone)


def _arranged(standing: Standing) -> tuple[NDArray[np.intp], list[str], NDArray[np.intp]]:
    """The places of nodes that are not judged, the zones' names, and each node's zone as a place in these."""
    silent = standing.places(unjudged(standing) | standing.fresh)
    names = sorted({zone or "" for zone in standing.zones})
    return silent, names, np.array([names.index(one or "") for one in standing.zones], dtype=np.intp)


def _slow(window: Window, standing: Standing, silent: np.ndarray, names: list[str], zone: np.ndarray) -> list[Finding]:
    values: Floats = decode(window.middle)
    values[silent, :] = values[:, silent] = np.nan
    cells = _SLOW.badness(values)
    np.fill_diagonal(cells, np.nan)
    if np.count_nonzero(np.isfinite(cells)) < _LEAST_CELLS:
        return []
    one = Fitted(SERIES, _SLOW, standing.nodes, tuple(names), values, fit(cells, zone, _SLOW.noise), 1)
    found = places(one, ALPHA)
    made = [
        of_node(one, bad)
        if isinstance(bad, BadNode)
        else of_zones(one, bad)
        if isinstance(bad, BadZones)
        else of_pair(one, bad)
        for bad in found.every
    ]
    return [finding for finding in made if _is_felt(finding)]


def _is_felt(finding: Finding) -> bool:
    seen, usual = finding.evidence.get("seen"), finding.evidence.get("usual")
    return seen is not None and usual is not None and seen - usual >= LEAST_SECONDS


def _parts(windows: Sequence[Window]) -> list[Part]:
    return [(window.sent, window.lost) for window in windows]


def _added(windows: Sequence[Window], silent: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Probes sent and lost in all of them, of nodes that are judged."""
    sent = np.zeros(windows[0].sent.shape, np.int64)
    lost = sent.copy()
    for window in windows:
        sent += window.sent
        lost += window.lost
    for counts in (sent, lost):
        counts[silent, :] = counts[:, silent] = 0
    return sent, lost


def _lossy(found: Losses, standing: Standing, names: list[str], zone: NDArray[np.intp]) -> list[Finding]:
    nodes = standing.nodes
    made = []
    for one in found.nodes:
        where = {"node": nodes[one.places[0]], "direction": "unknown", **_ABOUT}
        if names[zone[one.places[0]]]:
            where["zone"] = names[zone[one.places[0]]]
        made.append(_finding("lossy_node", where, one, f"{nodes[one.places[0]]} with the others"))
    for one in found.zones:
        a, b = (names[place] for place in one.places)
        where = {"source_zone": a, "target_zone": b, "direction": "both", **_ABOUT}
        made.append(_finding("lossy_zone_pair", where, one, f"Between zone {a} and zone {b}"))
    for one in found.pairs:
        a, b = (nodes[place] for place in one.places)
        where = {"source": a, "target": b, "direction": "both", **_ABOUT}
        made.append(_finding("lossy_pair", where, one, f"Between {a} and {b}"))
    if found.mesh is not None:
        made.append(_finding("lossy_mesh", {"direction": "both", **_ABOUT}, found.mesh, "All over the mesh"))
    return made


def _finding(kind: str, where: dict[str, str], one: Lossy, place: str) -> Finding:
    usual = "less than 0.1 %" if one.usual <= 1e-3 else figure(LOSS, one.usual)
    return Finding(
        kind=kind,
        where=where,
        size=float(f"{one.ratio - one.usual:.4g}"),
        evidence={
            "value": LOSS,
            "unit": "1",
            "seen": one.ratio,
            "usual": one.usual,
            "lost": one.lost,
            "sent": one.sent,
            "cells": one.cells,
        },
        confidence=one.confidence,
        sentence=(
            f"{place}: {one.lost} of {one.sent} probes were lost ({figure(LOSS, one.ratio)}), where {usual} is usual."
        ),
    )


def explains(node: Finding, pair: Finding) -> bool:
    """Whether what a pair shows is no more than what is said of one of its nodes: chance names a pair beside it else.

    A pair loses no more than its node does where chance makes as much of the node's loss; it is no slower where it does
    not take twice as long.
    """
    ends = (pair.where.get("source"), pair.where.get("target"))
    if (node.kind, pair.kind) not in _EXPLAIN or node.where["node"] not in ends:
        return False
    if pair.kind == "slow_pair":
        return bool(pair.evidence["seen"] <= 2 * node.evidence["seen"])
    expected = pair.evidence["sent"] * node.evidence["seen"]
    return bool(chance(pair.evidence["lost"], expected) > math.log(ALPHA))


def lost_agents(standing: Standing) -> list[Finding]:
    """Agents that tell nothing although their nodes are in service, and are not new."""
    return [
        Finding(
            kind="agent_lost",
            where={"node": name},
            evidence={"code": reason.code},
            sentence=f"The agent of {name} tells nothing: {reason.message}.",
        )
        for name, reason in standing.missing.items()
        if reason.code not in ("agent_away", "not_scheduled", "timeout") and name not in standing.fresh
    ]
