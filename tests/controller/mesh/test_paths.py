"""The table of paths against the one that the documentation gives."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.document import CellKey, Parameters
from netmesh_controller.mesh.paths import MESH_PATHS, PATHS, TARGET_PATHS, is_local, roles

LOCAL = {
    "pod-to-pod": ("pod", "peer"),
    "pod-to-service": ("pod", "peer"),
    "hairpin": ("pod", "pod"),
    "host-to-pod": ("host", "pod"),
    "pod-to-host": ("pod", "host"),
}
REMOTE = {
    "pod-to-pod": ("pod", "pod"),
    "pod-to-service": ("pod", "pod"),
    "host-to-host": ("host", "host"),
    "host-to-pod": ("host", "pod"),
    "pod-to-host": ("pod", "host"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("local", "cells"), [(True, LOCAL), (False, REMOTE)])
def test_a_path_has_its_cells_and_no_others(path: str, local: bool, cells: dict[str, tuple[str, str]]) -> None:
    if path in cells:
        assert roles(path, local=local) == cells[path]
    else:
        with pytest.raises(ValueError, match=f"{path} has no {'local' if local else 'remote'} cell"):
            roles(path, local=local)


def test_paths_are_between_nodes_or_lead_out() -> None:
    assert {*MESH_PATHS} == LOCAL.keys() | REMOTE.keys()
    assert {name for name in PATHS if PATHS[name].outside == "pod"} == {*TARGET_PATHS}
    assert {name for name in PATHS if PATHS[name].via_service} == {"pod-to-service", "hairpin"}
    with pytest.raises(ValueError, match="there is no path 'pod-to-moon'"):
        roles("pod-to-moon", local=False)


def test_a_local_cell_stays_on_its_node() -> None:
    key = CellKey(
        path="hairpin",
        test="tcp-connect",
        source="a",
        target="a",
        repeat=1,
        parameters=Parameters(instrument="netmesh"),
    )
    assert is_local(key)
    assert not is_local(key.model_copy(update={"target": "b"}))
