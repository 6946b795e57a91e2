"""Odd MTUs: a node or a pair whose packets may be of another size than those of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from netmesh_controller.mesh.document import Finding, Node
from netmesh_controller.mesh.findings.series import zone_numbers
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series

# Where fewer agree, there is no usual size.
_AGREE = 0.6
_LEAST_NODES = 3
_MOST = 0.75


def odd_mtus(gathered: Mapping[Series, Gathered], nodes: Sequence[Node]) -> list[Finding]:
    """By the sizes that arrived (path-mtu), and by what the agents say of their own devices.

    Sizes are exact: there is no chance in them. Traffic between zones may have another usual size than within one.
    Each oddity is said once: a node by its path where that shows it, and a pair only where no end's own device has
    that size.
    """
    found = [
        one for series, cells in gathered.items() if series.test == "path-mtu" for one in _of_path(series, cells, nodes)
    ]
    said = {one.where.get("node") for one in found}
    devices = [one for one in _of_devices(nodes) if one.where["node"] not in said]
    of_device = {(one.where["node"], one.size) for one in devices}
    pairs_left = [
        one for one in found if not {(one.where.get(end), one.size) for end in ("source", "target")} & of_device
    ]
    return pairs_left + devices


def _of_path(series: Series, cells: Gathered, nodes: Sequence[Node]) -> Iterable[Finding]:
    repeats = cells.repeats("mtu_bytes")
    if cells.targets != cells.names or not len(repeats):
        return []
    # The smallest that was found: what vanishes sometimes is no MTU to rely on.
    there = np.isfinite(repeats).any(axis=0) & ~np.eye(len(cells.names), dtype=bool)
    sizes = np.where(there, np.fmin.reduce(repeats, axis=0), np.nan)
    _, zone = zone_numbers(cells.names, nodes)
    same = zone[:, None] == zone[None, :]
    usual = np.full(sizes.shape, np.nan)
    for kind in (same, ~same):
        size = _mode(sizes[kind & there].tolist())
        if size is not None:
            usual[kind] = size
    odd = there & np.isfinite(usual) & (sizes != usual)
    made, of_nodes = [], np.zeros(sizes.shape, dtype=bool)
    for node, name in enumerate(cells.names):
        mine = np.zeros(sizes.shape, dtype=bool)
        mine[node, :] = mine[:, node] = True
        count, of = int(np.count_nonzero(mine & odd)), int(np.count_nonzero(mine & there))
        # Of two nodes each has all of the other's pairs.
        if len(cells.names) >= _LEAST_NODES and of >= _LEAST_NODES and count >= _MOST * of:
            size = _mode(sizes[mine & odd].tolist(), 0.0)
            made.append(_finding({"node": name}, name, size, float(np.nanmedian(usual)), count, of, series))
            of_nodes |= mine
    for a, b in np.argwhere(odd & ~of_nodes).tolist():
        source, target = cells.names[a], cells.names[b]
        where = {"source": source, "target": target}
        made.append(_finding(where, f"{source} -> {target}", float(sizes[a, b]), float(usual[a, b]), 1, 1, series))
    return made


def _finding(
    where: dict[str, str], place: str, size: float | None, usual: float, count: int, of: int, series: Series
) -> Finding:
    seen = 0.0 if size is None else size
    pairs = "" if of == 1 else f", in {count} of {of} pairs"
    return Finding(
        kind="odd_mtu",
        where={**where, "path": series.path, "test": series.test},
        size=seen,
        evidence={"value": "mtu_bytes", "unit": "B", "seen": seen, "usual": usual, "cells": of, "odd_cells": count},
        confidence=1.0,
        sentence=(
            f"{place}: packets of up to {seen:.0f} B arrive, where {usual:.0f} B are usual{pairs} ({series.path})."
        ),
    )


def _of_devices(nodes: Sequence[Node]) -> list[Finding]:
    """By role of the agents: a host's device and a pod's differ by design."""
    found: dict[str, Finding] = {}
    for role in ("pod", "host"):
        sizes = {
            node.name: float(size)
            for node in nodes
            if (agent := node.agent(role)) is not None and (size := agent.facts.get("mtu_bytes"))
        }
        usual = _mode(list(sizes.values()))
        if len(sizes) < _LEAST_NODES or usual is None:
            continue
        for name, size in sizes.items():
            if size != usual and name not in found:
                found[name] = Finding(
                    kind="odd_mtu",
                    where={"node": name, "role": role},
                    size=size,
                    evidence={"value": "mtu_bytes", "unit": "B", "seen": size, "usual": usual, "nodes": len(sizes)},
                    confidence=1.0,
                    sentence=f"{name}: its {role}'s device has an MTU of {size:.0f} B, where {usual:.0f} B are usual.",
                )
    return list(found.values())


def _mode(sizes: Sequence[float], agree: float = _AGREE) -> float | None:
    """The commonest size, where so large a part agrees."""
    if not sizes:
        return None
    size, count = Counter(sizes).most_common(1)[0]
    return size if count >= agree * len(sizes) else None
