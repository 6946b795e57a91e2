"""The API's token in Kubernetes: a Secret that the first controller makes, read again now and then."""

from __future__ import annotations

import asyncio
import logging
import secrets

from netmesh_common.errors import CouldNotRunError
from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.cluster import Cluster, ClusterError
from netmesh_controller.clients.cluster.service_proxy import ensure_token

log = logging.getLogger(__name__)

# A token that somebody changed holds after this time.
CHECK_SECONDS = 30.0
AGAIN_SECONDS = 2.0


class ClusterToken:
    """Keeps the token; used as an asynchronous context."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._token: str | None = None
        self._why = "it is being read"
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ClusterToken:
        self._task = guarded_task(self._keep(), name="token", lasting=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await cancelled(self._task)

    def current(self) -> str:
        """The token; CouldNotRunError where it is not known yet, so that nobody is let in."""
        if self._token is None:
            raise CouldNotRunError(f"the token is not known yet: {self._why}")
        return self._token

    async def _keep(self) -> None:
        while True:
            try:
                self._token = await ensure_token(self._cluster, secrets.token_urlsafe(32))
                wait = CHECK_SECONDS
            except ClusterError as error:
                # The last one holds.
                self._why = str(error)
                log.warning("the token cannot be read: %s", error)
                wait = AGAIN_SECONDS
            await asyncio.sleep(wait)
