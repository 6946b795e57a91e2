"""Events of a sweep at a controller, over connections that end, and an API server that refuses for a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from netmesh_controller.clients.controller import ControllerClient, ControllerError, direct

HEARD = "id: 1\nevent: progress\ndata: {}\n\n"
FINISHED = "id: 2\nevent: finished\ndata: {}\n\n"
# As the API server says it; its `code` is a number.
REFUSED = {"kind": "Status", "status": "Failure", "message": "forbidden", "reason": "Forbidden", "code": 403}


@asynccontextmanager
async def answering(*answers: str | int) -> AsyncIterator[ControllerClient]:
    """A server that gives one answer after the other: the text of a stream of events, or a refusal's status."""
    left = list(answers)

    async def events(_: web.Request) -> web.Response:
        answer = left.pop(0)
        if isinstance(answer, int):
            return web.json_response(REFUSED | {"code": answer}, status=answer)
        return web.Response(text=answer, content_type="text/event-stream")

    application = web.Application()
    application.router.add_get("/api/v1/sweeps/run/events", events)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with ControllerClient(direct(f"http://127.0.0.1:{port}", None)) as client:
            yield client
    finally:
        await runner.cleanup()
    assert left == []


@pytest.mark.parametrize("before", [HEARD, 503])
async def test_an_api_server_that_has_just_started_may_refuse_for_a_moment(before: str | int) -> None:
    async with answering(before, 403, 401, FINISHED) as client:
        assert [event.kind async for event in client.events("run")][-1] == "finished"


@pytest.mark.parametrize("status", [401, 403])
async def test_what_was_never_allowed_is_refused_at_once(status: int) -> None:
    async with answering(status) as client:
        with pytest.raises(ControllerError, match="forbidden"):
            await anext(client.events("run"))
