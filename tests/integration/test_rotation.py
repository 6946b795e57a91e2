"""Certificates that are renewed while an agent serves and a controller calls: nothing fails, and nobody restarts."""

from __future__ import annotations

import datetime
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.support.agents import Identity, running_agent

from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient, AgentError
from netmesh_controller.identity.certificates import Pair
from netmesh_controller.identity.rotation import Identities, Lifetimes, renewed

PORT = 19431
HOUR = datetime.timedelta(hours=1)
LIFETIMES = Lifetimes(authority=90 * HOUR, leaf=30 * HOUR, settle=HOUR)


def stages() -> list[Identities]:
    """An authority, one that was announced beside it, one that signs, and that one alone; all valid now."""
    now = datetime.datetime.now(datetime.UTC)
    made = now - 62 * HOUR
    first = renewed((), None, None, made, LIFETIMES)

    def later(known: Identities, at: datetime.datetime) -> Identities:
        return renewed(known.authorities, known.agent, known.controller, at, LIFETIMES)

    first = later(first, made + 45 * HOUR)
    announced = later(first, now - 2 * HOUR)
    signs = later(announced, now)
    assert len(announced.authorities) == 2
    assert announced.agent == first.agent
    assert signs.agent != first.agent
    return [first, announced, signs, Identities(signs.authorities[1:], signs.agent, signs.controller)]


def write(folder: Path, known: Identities, pair: Pair) -> None:
    """As a Secret that is mounted: all files change at once."""
    number = len(list(folder.glob("..v*")))
    version = folder / f"..v{number}"
    version.mkdir(parents=True)
    (version / "ca.crt").write_bytes(known.bundle)
    (version / "tls.crt").write_bytes(pair.certificate_pem)
    (version / "tls.key").write_bytes(pair.key_pem)
    new = folder / "..data_tmp"
    new.symlink_to(version.name)
    new.rename(folder / "..data")
    for name in ("ca.crt", "tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


async def test_an_agent_and_a_controller_go_through_a_rotation(tmp_path: Path) -> None:
    first, *following = stages()
    write(tmp_path / "pki" / "agent", first, first.agent)

    def as_controller(known: Identities) -> Certificates:
        return Certificates(known.bundle, known.controller.certificate_pem, known.controller.key_pem)

    now = first
    client_of_first = as_controller(first)
    with running_agent(Identity(tmp_path / "pki"), tmp_path, port=PORT):
        client = AgentClient(f"127.0.0.1:{PORT}", lambda: as_controller(now))
        try:
            async with aclosing(client.watch_host("", 0.05)) as samples:
                await anext(samples)
                for known in following:
                    # Each end may be the first to read what is new.
                    write(tmp_path / "pki" / "agent", known, known.agent)
                    await client.describe()
                    fresh = AgentClient(f"127.0.0.1:{PORT}", as_controller(now))
                    assert (await fresh.describe())["node"] == "node-1"
                    await fresh.close()
                    now = known
                    assert (await client.describe())["node"] == "node-1"
                    # What began before goes on.
                    await anext(samples)
        finally:
            await client.close()
        stale = AgentClient(f"127.0.0.1:{PORT}", client_of_first)
        with pytest.raises(AgentError, match="TLS handshake"):
            await stale.describe()
        await stale.close()
