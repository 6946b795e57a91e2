"""Who gets what: nothing without the token but health; reading by anybody where that is asked for."""

import re
from pathlib import Path

import aiohttp
import pytest
from tests.controller.web.conftest import TOKEN, Api, serving
from tests.support.agents import Identity

from netmesh_controller.clients.store import Store
from netmesh_controller.surfaces.web.application import OPERATIONS
from netmesh_controller.token import TokenError, token_source


async def answer(url: str, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", headers=headers) as response,
    ):
        return response.status


async def test_every_operation_but_health_needs_the_token(api: Api) -> None:
    for operation in OPERATIONS:
        path = (
            operation.path.replace("{run}", "latest")
            .replace("{index}", "0")
            .replace("{format}", "html")
            .replace("{file}", "style.css")
        )
        # A name in braces is no name that a route takes.
        path = re.sub(r"\{[a-z]+\}", "node-1", path)
        status = await answer(api.url, operation.method, path)
        if operation.access == "open":
            assert status == 200, operation.path
            assert operation.path in ("/healthz", "/readyz", "/", "/pages/words", "/pages/{file}")
        else:
            assert status == 401, operation.path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Netmesh-Token": TOKEN}, 200),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer  {TOKEN}"}, 200),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"X-Netmesh-Token": TOKEN[:-1]}, 401),
        ({"X-Netmesh-Token": TOKEN + "x"}, 401),
        ({"X-Netmesh-Token": ""}, 401),
        # The header of netmesh's own counts, whatever a proxy put beside it.
        ({"X-Netmesh-Token": "wrong", "Authorization": f"Bearer {TOKEN}"}, 401),
        ({"X-Netmesh-Token": TOKEN, "Authorization": "Bearer the-cluster's"}, 200),
    ],
)
async def test_the_token_counts_in_two_headers(api: Api, headers: dict[str, str], status: int) -> None:
    assert await answer(api.url, "GET", "/api/v1/sweeps", headers) == status


async def test_a_refusal_says_how(api: Api) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/api/v1/sweeps") as response:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.content_type == "application/problem+json"
        body = await response.json(content_type=None)
    assert body["code"] == "token"
    assert "X-Netmesh-Token" in body["detail"]
    assert TOKEN not in str(body)


async def test_reading_may_be_public_and_changing_never(store: Store, identity: Identity) -> None:
    async with serving(store, identity, public_read=True) as api:
        assert await answer(api.url, "GET", "/api/v1/sweeps") == 200
        assert await answer(api.url, "GET", "/metrics") == 200
        assert await answer(api.url, "POST", "/api/v1/sweeps") == 401
        assert await answer(api.url, "DELETE", "/api/v1/sweeps/latest") == 401


def test_a_token_is_made_once_and_is_its_owners_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETMESH_TOKEN", raising=False)
    first, where = token_source(None, tmp_path / "data")
    again, _ = token_source(None, tmp_path / "data")
    path = tmp_path / "data" / "token"
    assert first() == again() == path.read_text().strip()
    assert len(first()) >= 32
    assert path.stat().st_mode & 0o077 == 0
    assert str(path) in where


def test_a_token_file_that_is_changed_holds_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETMESH_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text("the-first-token-of-all\n")
    token, _ = token_source(path, tmp_path)
    assert token() == "the-first-token-of-all"
    path.write_text("")
    assert token() == "the-first-token-of-all"
    path.write_text("the-second-token-of-all")
    assert token() == "the-second-token-of-all"


@pytest.mark.parametrize("text", ["", "short", "spaces in the token are none", "tökens-are-of-ascii-only"])
def test_what_is_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.delenv("NETMESH_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(TokenError, match="--token-file"):
        token_source(path, tmp_path)
    monkeypatch.setenv("NETMESH_TOKEN", text)
    with pytest.raises(TokenError, match="NETMESH_TOKEN"):
        token_source(None, tmp_path)
