"""Which agents a cell's traffic runs between."""

from __future__ import annotations

from netmesh_controller.mesh.document import CellKey


def roles(path: str, *, local: bool) -> tuple[str, str]:
    """The roles of the source's and the target's agents; a local cell's both ends are on one node."""
    match path:
        case "pod-to-pod":
            return ("pod", "peer") if local else ("pod", "pod")
        case _:
            raise ValueError(f"there is no path '{path}'")


def is_local(key: CellKey) -> bool:
    """Whether source and target are one node."""
    return key.source == key.target
