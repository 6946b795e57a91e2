"""The paths: which agents' traffic takes which way, and which cells a path has. Data, and two questions to it."""

from __future__ import annotations

from dataclasses import dataclass

from netmesh_controller.mesh.document import CellKey

Roles = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Path:
    """A way that traffic takes. `local` and `remote` are the roles of (source, target); None: no such cell.

    `via_service` paths go to a virtual address of the target's, not to its own. `outside` is the role of the source
    of a path that leads out of the mesh, to a target that is no node; such a path has neither kind of cell. Where it
    `keeps_addresses`, the target sees the source's own: no other path promises that.
    """

    name: str
    local: Roles | None
    remote: Roles | None
    via_service: bool = False
    outside: str | None = None
    keeps_addresses: bool = False


PATHS: dict[str, Path] = {
    path.name: path
    for path in (
        Path("pod-to-pod", local=("pod", "peer"), remote=("pod", "pod"), keeps_addresses=True),
        Path("pod-to-service", local=("pod", "peer"), remote=("pod", "pod"), via_service=True),
        # The agent that asks is the one behind the Service.
        Path("hairpin", local=("pod", "pod"), remote=None, via_service=True),
        Path("host-to-host", local=None, remote=("host", "host")),
        Path("host-to-pod", local=("host", "pod"), remote=("host", "pod")),
        Path("pod-to-host", local=("pod", "host"), remote=("pod", "host")),
        Path("pod-to-nodeport", local=None, remote=None, outside="pod"),
        Path("pod-to-loadbalancer", local=None, remote=None, outside="pod"),
        Path("pod-to-external", local=None, remote=None, outside="pod"),
    )
}

# What `all` means: the paths between the nodes of the mesh.
MESH_PATHS: tuple[str, ...] = tuple(path.name for path in PATHS.values() if path.outside is None)
TARGET_PATHS: tuple[str, ...] = tuple(path.name for path in PATHS.values() if path.outside is not None)
# The path that the others are compared with.
BASELINE_PATH = "host-to-host"


def roles(path: str, *, local: bool) -> Roles:
    """The roles of the source's and the target's agents; a local cell's both ends are on one node.

    ValueError where the path has no such cell, or where there is no such path.
    """
    known = PATHS.get(path)
    if known is None:
        raise ValueError(f"there is no path '{path}'")
    found = known.local if local else known.remote
    if found is None:
        raise ValueError(f"{path} has no {'local' if local else 'remote'} cell between nodes")
    return found


def agents_of(key: CellKey) -> frozenset[tuple[str, str]]:
    """The agents, as (node, role), that take part in measuring a cell."""
    path = PATHS[key.path]
    if path.outside is not None:
        return frozenset({(key.source, path.outside)})
    source_role, target_role = roles(key.path, local=is_local(key))
    return frozenset({(key.source, source_role), (key.target, target_role)})


def is_local(key: CellKey) -> bool:
    """Whether source and target are one node."""
    return key.source == key.target
