"""The composition root of the controller that stays: starts everything, and ends it in order."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from netmesh_common.garbage import steady
from netmesh_common.http import IDLE_SECONDS
from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.store import Store, open_store
from netmesh_controller.engines.background.engine import Background
from netmesh_controller.engines.monitor import Checking, Monitor
from netmesh_controller.engines.monitoring.keeping import Keeping
from netmesh_controller.engines.results import Results
from netmesh_controller.engines.roster import Roster
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.background.turns import Allowance
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.surfaces.web.application import application
from netmesh_controller.surfaces.web.background_metrics import BackgroundMetrics
from netmesh_controller.surfaces.web.mesh_metrics import MeshMetrics
from netmesh_controller.surfaces.web.metrics import ControllerMetrics, new_registry
from netmesh_controller.surfaces.web.services import Leading, Services

log = logging.getLogger(__name__)

# What requests under way may take once the controller is told to end.
GOODBYE_SECONDS = 5.0
SWITCH_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Settings:
    """What a controller that stays is started with. `listener` is bound already: the process may have entered a lab's
    network since. `token` None: it is in the cluster's Secret. `elected`: by the cluster's Lease; else it leads.
    `monitors`: the mesh is watched all the time; `pair_metrics`: every pair has metrics of its own.
    `checks` are asked by every agent beside the probe. `background`: what bandwidth tests beside it may take, None: no
    test.
    """

    listener: socket.socket
    token: Callable[[], str] | None
    public_read: bool = False
    elected: bool = False
    monitors: bool = True
    pair_metrics: bool = False
    checks: Checking = field(default_factory=Checking)
    background: Allowance | None = None


async def serve(settings: Settings, source: Source) -> None:
    """Runs the controller until SIGTERM or SIGINT; the errors are those of `running`.

    A sweep that runs then stops, and its run stays as it is: the next to lead takes it up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, source):
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def running(settings: Settings, source: Source) -> AsyncIterator[None]:
    """The controller, until the context is left.

    StoreError where its store cannot be opened, ClusterError where it is to be elected and there is no cluster.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(source.running())
        store = await open_store()
        stack.push_async_callback(store.close)
        sweeps = Sweeps(store, source)
        # Who leads is known once there is somebody to be led.
        roster = Roster(source, lambda: leading().term)
        sweeps.on_survey = roster.saw
        monitor: Monitor | None = None
        background: Background | None = None

        def own_tests() -> Progress | None:
            return sweeps.progress() or (None if background is None else background.progress())

        def standing() -> Standing | None:
            return monitor.standing if monitor is not None and monitor.watching else None

        if settings.monitors:
            monitor = Monitor(source, progress=own_tests, checks=settings.checks)
            if settings.background is not None:
                background = Background(store, source, roster, sweeps, standing, settings.background)
        keeping = Keeping(store, monitor) if monitor is not None else None

        async def lead(term: int) -> None:
            await sweeps.lead(term)
            if keeping is not None:
                await keeping.lead(term)
            if background is not None:
                await background.lead(term)

        async def stand_by(leader: str | None = None) -> None:
            if background is not None:
                await background.stand_by()
            if keeping is not None:
                await keeping.stand_by()
            await sweeps.stand_by(leader)

        if settings.elected:
            # Only here: the client's package takes more than a second to import.
            from netmesh_controller.clients.cluster import connect  # noqa: PLC0415
            from netmesh_controller.clients.cluster.lease import Lease  # noqa: PLC0415
            from netmesh_controller.engines.clustertoken import ClusterToken  # noqa: PLC0415

            cluster = await stack.enter_async_context(await connect())
            token = settings.token or (await stack.enter_async_context(ClusterToken(cluster))).current
            lease = Lease(cluster, _identity())

            def leading() -> Leading:
                return Leading(lease.leading, lease.leader, lease.term)

            await stack.enter_async_context(
                _serving(settings, store, roster, sweeps, keeping, background, token, leading)
            )
            # Last in, first out: the sweep stops and the Lease is given back before readers are sent away.
            task = guarded_task(lease.run(lead, stand_by), name="election")
            stack.push_async_callback(cancelled, task)
        else:
            if settings.token is None:
                raise ValueError("a controller outside of Kubernetes is given its token")

            def leading() -> Leading:
                return Leading(leading=True, leader=None, term=0)

            await stack.enter_async_context(
                _serving(settings, store, roster, sweeps, keeping, background, settings.token, leading)
            )
            stack.push_async_callback(stand_by)
            await lead(leading().term)
        yield


@asynccontextmanager
async def _serving(
    settings: Settings,
    store: Store,
    roster: Roster,
    sweeps: Sweeps,
    keeping: Keeping | None,
    background: Background | None,
    token: Callable[[], str],
    leading: Callable[[], Leading],
) -> AsyncIterator[None]:
    """The HTTP API, until the context is left."""
    registry = new_registry()
    registry.register(ControllerMetrics(sweeps, leading))
    if keeping is not None:
        registry.register(MeshMetrics(keeping, per_pair=settings.pair_metrics))
    if background is not None:
        registry.register(BackgroundMetrics(background, per_pair=settings.pair_metrics))
    services = Services(
        store=store,
        sweeps=sweeps,
        roster=roster,
        results=Results(store),
        leading=leading,
        token=token,
        registry=registry,
        public_read=settings.public_read,
        monitor=None if keeping is None else keeping.monitor,
        keeping=keeping,
        background=background,
    )
    runner = web.AppRunner(
        application(services), access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=GOODBYE_SECONDS
    )
    await runner.setup()
    try:
        await web.SockSite(runner, settings.listener).start()
        steady()
        # Who reads the store does so in a thread, which by default waits 5 ms for each step that needs the interpreter
        # while a sweep has it.
        sys.setswitchinterval(SWITCH_SECONDS)
        yield
    finally:
        await runner.cleanup()


def _identity() -> str:
    """Of this process alone: a container that is started again in the same pod is another candidate."""
    return f"{os.environ.get('NETMESH_POD_NAME') or socket.gethostname()}_{secrets.token_hex(4)}"
