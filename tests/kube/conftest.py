"""The images of this tree, and one cluster for the whole session that has them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kube.cluster import Cluster
from tests.kube.cluster.processes import run
from tests.kube.installed import Netmesh

ROOT = Path(__file__).resolve().parents[2]

# What makes and ends a cluster by itself goes before the session's; what puts netmesh in and out, or makes its
# certificates and controller anew, before what uses it; what its rights were used for is read when all have used them.
# The API server of `api` comes after what measures, since it stays until the session's end. None: every other module.
_ORDER = (
    *("test_programs", "test_leftovers", "test_cluster", "test_smoke", "test_install", "test_rotation"),
    *(None, "test_rights", "api"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the modules in their order."""

    def place(item: pytest.Item) -> int:
        name = "api" if item.path.parent.name == "api" else item.path.stem
        return _ORDER.index(name if name in _ORDER else None)

    items.sort(key=place)


@pytest.fixture(scope="session")
def images() -> Iterator[tuple[Path, ...]]:
    """Archives of the agent's and the controller's image."""
    # Not in pytest's own folder: they are large, it keeps some sessions, and others' sessions remove the oldest.
    with tempfile.TemporaryDirectory(prefix="netmesh-images-") as folder:
        run(ROOT / "scripts" / "image", folder, seconds=1500)
        yield tuple(sorted(Path(folder).glob("*.tar")))


@pytest.fixture(scope="session")
def cluster(images: tuple[Path, ...]) -> Iterator[Cluster]:
    """A new cluster, or with NETMESH_KUBE_REUSE=1 the one of `make kube-up`, which is then left."""
    if os.environ.get("NETMESH_KUBE_REUSE"):
        running = Cluster.running()
        running.load(*images)
        yield running
        return
    cluster = Cluster.up(archives=images)
    try:
        yield cluster
    finally:
        cluster.keep_logs()
        Cluster.down()


@pytest.fixture(scope="session")
def deployed(cluster: Cluster, images: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netmesh]:
    """netmesh after `kubectl apply -k deploy/`, and a user outside who may run sweeps."""
    netmesh = Netmesh(cluster, tmp_path_factory.mktemp("operator"), images)
    netmesh.delete()  # pods of a cluster that is used again would go on with the images of before
    netmesh.apply()
    netmesh.grant()
    netmesh.wait_ready()
    yield netmesh
    netmesh.delete()


@pytest.fixture
def netmesh(deployed: Netmesh) -> Iterator[Netmesh]:
    """The same for one test: agents and controller are Ready before it, and nothing of its runs is left after it.

    None of them may have said a traceback meanwhile.
    """
    deployed.wait_ready()
    yield deployed
    deployed.wait_clean()
    assert "Traceback" not in deployed.said()
