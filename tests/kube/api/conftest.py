"""One API server for all tests of this folder."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.deploy.render import BASE
from tests.kube.api.server import ApiServer
from tests.kube.cluster.binaries import programs

from netmesh_controller.clients.cluster import Cluster, connect


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    server = ApiServer(programs(), Path(tempfile.mkdtemp(prefix="netmesh-api-")))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def admin(api_server: ApiServer) -> AsyncIterator[Cluster]:
    async with await connect(kubeconfig=api_server.kubeconfig("admin"), namespace="netmesh") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def applied(api_server: ApiServer) -> ApiServer:
    """The API server after `kubectl apply -k deploy/`; nothing was warned of."""
    assert "would violate" not in api_server.kubectl("apply", "-k", str(BASE))
    return api_server


@pytest.fixture
async def controller(applied: ApiServer) -> AsyncIterator[Cluster]:
    """The controller's own account, with the rights that the manifests grant. None of its calls may be refused."""
    since = applied.audit_log.stat().st_size
    async with await connect(kubeconfig=applied.kubeconfig("controller"), namespace="netmesh") as cluster:
        yield cluster
    refused = [call for call in applied.audited(max(since, applied.ready_from)) if call.code in (401, 403)]
    assert refused == []
