"""The agent's small HTTP server: /healthz and /readyz for the kubelet, /metrics for Prometheus. It holds no secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from netmesh_common.http import IDLE_SECONDS

# Of the text that prometheus-client writes.
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Readiness:
    """Whether the agent can measure; `reason` says why not, None means that it can."""

    reason: str | None = "it is starting"


async def start_http(
    addresses: Sequence[str], port: int, readiness: Readiness, metrics: Callable[[], bytes]
) -> web.AppRunner:
    """Serves on `port` of each address until the runner's `cleanup`; OSError where one cannot be listened on."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if readiness.reason is not None:
            return web.Response(status=503, text=f"not ready: {readiness.reason}\n")
        return web.Response(text="ok\n")

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": _METRICS_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)])
    # No access log: a kubelet asks every few seconds.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=1.0)
    await runner.setup()
    try:
        for address in addresses:
            await web.TCPSite(runner, address, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
