"""What the routes work with, put together by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry

from netmesh_controller.clients.store import Store
from netmesh_controller.engines.background.engine import Background
from netmesh_controller.engines.monitor import Monitor
from netmesh_controller.engines.monitoring.keeping import Keeping
from netmesh_controller.engines.results import Results
from netmesh_controller.engines.roster import Roster
from netmesh_controller.engines.sweeps import Sweeps


@dataclass(frozen=True, slots=True)
class Leading:
    """Who is in charge: whether this controller is, the leader's name where it is known, and the term."""

    leading: bool
    leader: str | None
    term: int


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route may use. `token` is asked for at each request, so that it can be changed meanwhile."""

    store: Store
    sweeps: Sweeps
    roster: Roster
    results: Results
    leading: Callable[[], Leading]
    token: Callable[[], str]
    registry: CollectorRegistry
    public_read: bool = False
    monitor: Monitor | None = None
    keeping: Keeping | None = None
    background: Background | None = None
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)


SERVICES = web.AppKey("services", Services)


def services(request: web.Request) -> Services:
    """The services of the application that serves this request."""
    return request.config_dict[SERVICES]
