"""Who is there: asked once for all who want to know, and nobody waits while a newer answer is asked for."""

import asyncio

import pytest
from tests.support.agents import Identity, new_identity

from netmesh_controller.engines.roster import FRESH_SECONDS, Roster
from netmesh_controller.engines.survey import Survey
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Reason


@pytest.fixture
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


async def test_who_asks_again_has_the_last_answer_while_a_newer_is_asked_for(identity: Identity) -> None:
    asked, go_on, now = 0, asyncio.Event(), 0.0
    go_on.set()

    async def located() -> list[Located]:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return [Located("127.0.0.1:1")]

    # Its time stands still but for what this test adds.
    here = Roster(Source(located, identity.controller, {}), clock=lambda: now)
    first, same = await asyncio.gather(here.nodes(), here.nodes())
    assert first is same
    assert first.unreachable["127.0.0.1:1"].code == "unreachable"
    assert asked == 1
    # No longer fresh, and not too old: what was known is told at once, and one asks for all.
    now += FRESH_SECONDS + 0.1
    go_on.clear()
    async with asyncio.timeout(5):
        assert await here.nodes() is first
        assert await here.nodes() is first
    await asyncio.sleep(0)
    assert asked == 2
    # Too old to be told: who asks waits.
    now += FRESH_SECONDS
    waiting = asyncio.ensure_future(here.nodes())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    go_on.set()
    assert await waiting is not first
    # What a sweep's survey found counts like an answer of its own.
    found = Survey((), {}, {"a": Reason(code="unreachable", message="a: gone")}, (), False)
    here.saw(found, 0.1)
    assert (await here.nodes()).unreachable == found.unreachable
    assert asked == 2
