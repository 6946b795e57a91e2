"""Secrets of a mesh in a real API server: made on the first start, renewed, and the same for several controllers."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.deploy.render import HOST
from tests.kube.api.server import ApiServer

from netmesh_controller.clients.cluster import Cluster, NotFound
from netmesh_controller.engines import identity
from netmesh_controller.engines.identity import AGENT_SECRET, CA_SECRET, CONTROLLER_SECRET, IdentityKeeper
from netmesh_controller.identity.rotation import Lifetimes

SECRETS = "/api/v1/namespaces/netmesh/secrets"
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def _no_secrets(admin: Cluster, applied: ApiServer) -> AsyncIterator[None]:
    yield
    await admin.call("DELETE", SECRETS)


async def data(admin: Cluster, name: str, path: str = SECRETS) -> dict[str, bytes]:
    secret: dict[str, Any] = await admin.call("GET", f"{path}/{name}")
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


async def test_the_first_start_makes_them_and_the_next_ones_use_them(controller: Cluster, admin: Cluster) -> None:
    async with IdentityKeeper(controller) as keeper:
        await asyncio.wait_for(keeper.ready(), 30)
        held = keeper.certificates()
    ca, agent, own = [await data(admin, name) for name in (CA_SECRET, AGENT_SECRET, CONTROLLER_SECRET)]
    assert set(ca) == {"ca.crt", "ca.key"}
    assert set(agent) == set(own) == {"ca.crt", "tls.crt", "tls.key"}
    assert (held.ca, held.chain, held.key) == (own["ca.crt"], own["tls.crt"], own["tls.key"])
    assert agent["ca.crt"] == own["ca.crt"] == ca["ca.crt"]
    for secret, name, usage in (
        (agent, "agent.netmesh", ExtendedKeyUsageOID.SERVER_AUTH),
        (own, "controller.netmesh", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        leaf = certificate(secret["tls.crt"])
        leaf.verify_directly_issued_by(certificate(ca["ca.crt"]))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    async with IdentityKeeper(controller) as again:
        await asyncio.wait_for(again.ready(), 30)
        assert again.certificates() == held


async def test_many_that_start_at_once_agree(controller: Cluster, admin: Cluster) -> None:
    keepers = [IdentityKeeper(controller) for _ in range(5)]
    for keeper in keepers:
        await keeper.__aenter__()
    try:
        await asyncio.wait_for(asyncio.gather(*(keeper.ready() for keeper in keepers)), 60)
        assert len({keeper.certificates() for keeper in keepers}) == 1
    finally:
        for keeper in keepers:
            await keeper.__aexit__()
    assert (await data(admin, AGENT_SECRET))["ca.crt"] == keepers[0].certificates().ca


async def test_they_are_renewed_before_they_end(controller: Cluster, admin: Cluster) -> None:
    lifetimes = Lifetimes(authority=9 * SECOND, leaf=4 * SECOND, settle=SECOND)
    async with IdentityKeeper(controller, lifetimes) as keeper:
        await asyncio.wait_for(keeper.ready(), 30)
        first = keeper.certificates()
        bundles: dict[bytes, None] = {}
        chains: set[bytes] = set()
        async with asyncio.timeout(60):
            # Alone, both, the new one alone, both again.
            while len(bundles) < 4:
                held = keeper.certificates()
                assert certificate(held.chain).not_valid_after_utc > datetime.datetime.now(datetime.UTC)
                bundles[held.ca] = None
                chains.add(held.chain)
                await asyncio.sleep(0.2)
    assert [len(x509.load_pem_x509_certificates(bundle)) for bundle in bundles] == [1, 2, 1, 2]
    assert len(chains) >= 4
    assert next(iter(bundles)) == first.ca


async def test_host_agents_get_theirs_once_their_namespace_is_there(
    controller: Cluster, admin: Cluster, applied: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "HOST_SECONDS", 0.2)
    there = "/api/v1/namespaces/netmesh-host/secrets"
    async with IdentityKeeper(controller) as keeper:
        await asyncio.wait_for(keeper.ready(), 30)
        applied.kubectl("apply", "-k", str(HOST))
        # Also a second time: whoever removes the overlay and applies it again has a new namespace without it.
        for _ in range(2):
            async with asyncio.timeout(30):
                while True:
                    try:
                        given = await data(admin, AGENT_SECRET, there)
                        break
                    except NotFound:
                        await asyncio.sleep(0.1)
            assert given == await data(admin, AGENT_SECRET)
            await admin.call("DELETE", there)
    await admin.call("DELETE", there)
