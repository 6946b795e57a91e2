"""Nodes in a table: one a line, what differs below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from netmesh_common.units import format_bytes
from netmesh_controller.mesh.document import Node, Reason
from netmesh_controller.mesh.matrix import in_order
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.words import count, wrapped


def show_nodes(
    console: Console, nodes: Sequence[Node], unreachable: Mapping[str, Reason], remarks: Sequence[str]
) -> None:
    """Prints every node with its agents and facts, why some do not answer, and in what they differ."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "zone", "agents", "address", "kernel"):
        table.add_column(name, no_wrap=True)
    for name in ("cpus", "memory", "mtu"):
        table.add_column(name, no_wrap=True, justify="right")
    for node in in_order(nodes):
        if node.agents:
            table.add_row(*_row(node))
    if table.row_count:
        console.print(table)
    for sentence in _tools(nodes):
        _print(console, sentence)
    for name, reason in unreachable.items():
        _print(console, f"{name}: {reason.code}, {reason.message.removeprefix(f'{name}: ')}", palette.VERY_BAD)
    for sentence in remarks:
        _print(console, sentence)
    if nodes and not (unreachable or remarks):
        console.print(Text(f"{count(len(nodes), 'node')}, no differences", palette.GOOD))
    if not nodes:
        console.print(Text("there is no node", palette.VERY_BAD))


def _print(console: Console, sentence: str, style: str = "") -> None:
    for line in wrapped(sentence, console.width):
        console.print(Text(line, style), soft_wrap=True, highlight=False)


def _tools(nodes: Sequence[Node]) -> list[str]:
    """What is installed, once for all nodes where it is the same; where versions differ, a remark says so."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        for name, version in (node.facts.get("tools") or {}).items():
            found.setdefault(name, set()).add(version)
    same = [f"{name} {next(iter(versions))}" for name, versions in sorted(found.items()) if len(versions) == 1]
    return [f"tools: {', '.join(same)}"] if same else []


def _row(node: Node) -> list[str]:
    facts = node.facts
    memory = facts.get("memory_bytes")
    return [
        node.name,
        node.zone or "",
        ",".join(agent.role for agent in node.agents),
        node.agents[0].address,
        str(facts.get("kernel") or "unknown"),
        str(facts.get("cpus") or "unknown"),
        "unknown" if memory is None else format_bytes(memory),
        str(facts.get("mtu_bytes") or "unknown"),
    ]
