"""What the windows of the continuous probe say is out of the ordinary: findings, as those of a sweep. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.fit import fit
from netmesh_controller.mesh.findings.places import BadNode, BadZones
from netmesh_controller.mesh.findings.scale import looked_at
from netmesh_controller.mesh.findings.series import Fitted, places
from netmesh_controller.mesh.findings.words import figure, of_node, of_pair, of_zones
from netmesh_controller.mesh.probing.live import LOSS, SERIES, TIME, Standing
from netmesh_controller.mesh.probing.losses import Lossy, losses
from netmesh_controller.mesh.probing.scale import decode
from netmesh_controller.mesh.probing.windows import Window
from netmesh_controller.mesh.table import Floats

# There are 8,640 windows a day, and an event needs two: that follow each other, or of those that are added up.
ALPHA = 1e-4
# What is less than this above the usual hurts nobody: a scheduler's whim on a quiet link.
LEAST_SECONDS = 200e-6
# So many windows are added up for losses.
WINDOWS_OF_LOSSES = 3
# And so many of them must have the loss: one that lasts a moment is none.
_LEAST_WINDOWS = 2
_LEAST_CELLS = 8
_SLOW = replace(next(one for one in looked_at("udp-latency") if one.kind == "slow"), value=TIME)
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
    silent = standing.places(unjudged(standing) | standing.fresh)
    names = sorted({zone or "" for zone in standing.zones})
    zone = np.array([names.index(one or "") for one in standing.zones], dtype=np.intp)
    return _slow(windows[-1], standing, silent, names, zone) + _lossy(
        windows[-WINDOWS_OF_LOSSES:], standing, silent, names, zone
    )


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


def _lossy(
    windows: Sequence[Window], standing: Standing, silent: np.ndarray, names: list[str], zone: np.ndarray
) -> list[Finding]:
    sent = np.stack([window.sent for window in windows]).sum(axis=0, dtype=np.int64)
    lost = np.stack([window.lost for window in windows]).sum(axis=0, dtype=np.int64)
    for counts in (sent, lost):
        counts[silent, :] = counts[:, silent] = 0
    parts = [(window.sent, window.lost) for window in windows]
    found = losses(sent, lost, zone, ALPHA).lasting(parts, zone, _LEAST_WINDOWS)
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
        if reason.code not in ("agent_away", "not_scheduled") and name not in standing.fresh
    ]
