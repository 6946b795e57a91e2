"""HTTP pings, as goldpinger does it: `python http_ping.py server ADDRESS PORT`, `client ADDRESS PORT SECONDS RATE`.

The client prints "ready" once its connection is there, waits for a line, and then prints how long each GET took, in
seconds. The time runs in the process, from before the request to after the whole answer; the connection is kept.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
from aiohttp import web


async def _pong(request: web.Request) -> web.Response:
    del request
    return web.json_response({"pong": True})


def _serve(address: str, port: int) -> None:
    app = web.Application()
    app.router.add_get("/ping", _pong)
    web.run_app(app, host=address, port=port, print=lambda *_: print("ready", flush=True), access_log=None)


async def _ask(address: str, port: int, seconds: float, rate: float) -> list[float]:
    took: list[float] = []
    url = f"http://{address}:{port}/ping"
    async with aiohttp.ClientSession() as session:

        async def ping() -> None:
            began = time.perf_counter()
            async with session.get(url) as answer:
                await answer.read()
            took.append(time.perf_counter() - began)

        await ping()
        took.clear()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            due = time.monotonic() + 1 / rate
            await ping()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return took


def main(role: str, address: str, port: str, *rest: str) -> None:
    """Runs one of the two."""
    if role == "server":
        _serve(address, int(port))
    else:
        print(json.dumps(asyncio.run(_ask(address, int(port), *map(float, rest)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
