"""A source of agents: what a sweep needs to know of where its agents come from, whoever keeps them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from netmesh_common.tls import Certificates
from netmesh_controller.inventory.located import Located, Presence
from netmesh_controller.inventory.services import ServiceMaker


async def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Source:
    """Agents to be asked, and the identity to come with; `recorded` is how to name the source again.

    `certificates` is asked for each time that connections are made, since they may be rotated meanwhile. `facts` are
    what a run should say of the source, as of the last `refresh`. `running` is entered before the source is asked and
    left when it is no longer needed; a source that watches what changes does so meanwhile, and has a `presence`; one
    that can make Services has a `maker`.
    """

    locate: Callable[[], Awaitable[list[Located]]]
    certificates: Callable[[], Certificates]
    recorded: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    running: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext
    presence: Callable[[], Presence | None] = lambda: None
    maker: Callable[[], ServiceMaker | None] = lambda: None
    refresh: Callable[[], Awaitable[None]] = _nothing
