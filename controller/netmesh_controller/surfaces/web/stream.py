"""Server-sent events (WHATWG HTML, section 9.2), read by fetch as well as by EventSource."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

from aiohttp import web

from netmesh_controller.engines.events import Event, EventLog

# A comment this often shows that the connection lives, to the asker and to every proxy between.
BEAT_SECONDS = 15.0
# A client that takes nothing for this long is gone.
STUCK_SECONDS = 30.0
RETRY_MILLISECONDS = 1000


async def event_stream(request: web.Request, events: EventLog) -> web.StreamResponse:
    """Tells the events until there are no more, the client is gone, or takes nothing for `STUCK_SECONDS`.

    The sweep never waits for a client: each reads from the log at its own pace.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # proxies of nginx's kind would hold events back
        }
    )
    await response.prepare(request)
    reading = events.read(request.headers.get("Last-Event-ID"))
    async with aclosing(reading):
        try:
            await _write(response, f"retry: {RETRY_MILLISECONDS}\n\n")
            coming = asyncio.ensure_future(anext(reading, None))
            try:
                while True:
                    done, _ = await asyncio.wait([coming], timeout=BEAT_SECONDS)
                    if not done:
                        await _write(response, ": beat\n\n")
                        continue
                    event = coming.result()
                    if event is None:
                        break
                    await _write(response, encoded(event))
                    coming = asyncio.ensure_future(anext(reading, None))
            finally:
                coming.cancel()
                await asyncio.wait([coming])
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            # The client is gone; whether it comes back is its own matter.
            if request.transport is not None:
                request.transport.abort()
    return response


def encoded(event: Event) -> str:
    """An event as it travels: JSON has no line breaks, so that data is one line."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data, separators=(',', ':'))}\n\n"


async def _write(response: web.StreamResponse, text: str) -> None:
    await asyncio.wait_for(response.write(text.encode()), STUCK_SECONDS)
