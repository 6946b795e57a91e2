"""The composition root of the controller that stays: starts everything, and ends it in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from netmesh_controller.clients.store import open_store
from netmesh_controller.engines.results import Results
from netmesh_controller.engines.roster import Roster
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.inventory.source import Source
from netmesh_controller.surfaces.web.application import application
from netmesh_controller.surfaces.web.metrics import ControllerMetrics, new_registry
from netmesh_controller.surfaces.web.services import Leading, Services

log = logging.getLogger(__name__)

# What requests under way may take once the controller is told to end.
GOODBYE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a controller that stays is started with. `listener` is bound already: the process may have entered a lab's
    network since.
    """

    listener: socket.socket
    token: Callable[[], str]
    public_read: bool = False


async def serve(settings: Settings, source: Source) -> None:
    """Runs the controller until SIGTERM or SIGINT; StoreError where its store cannot be opened.

    A sweep that runs then stops, and its run stays as it is: the next start takes it up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with source.running():
        await _serve(settings, source, stop)


async def _serve(settings: Settings, source: Source, stop: asyncio.Event) -> None:
    store = await open_store()
    try:
        sweeps = Sweeps(store, source)
        leading = Leading(leading=True, leader=None, term=0)
        registry = new_registry()
        registry.register(ControllerMetrics(sweeps, lambda: leading))
        services = Services(
            store=store,
            sweeps=sweeps,
            roster=Roster(source, lambda: leading.term),
            results=Results(store),
            leading=lambda: leading,
            token=settings.token,
            registry=registry,
            public_read=settings.public_read,
        )
        runner = web.AppRunner(application(services), access_log=None, shutdown_timeout=GOODBYE_SECONDS)
        await runner.setup()
        try:
            await web.SockSite(runner, settings.listener).start()
            await sweeps.lead(leading.term)
            await stop.wait()
            log.info("stopping")
        finally:
            # The sweep first: its readers end with it.
            await sweeps.stand_by()
            await runner.cleanup()
    finally:
        await store.close()
