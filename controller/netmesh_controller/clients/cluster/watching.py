"""List, then watch: what there is of a kind, and each change of it, for as long as one wants to know.

After "Efficient detection of changes" of the API's concepts: a watch goes on from the version of the list, or of the
last event or bookmark; where that version is no longer kept (410 Gone), or was never answered, the list is read anew.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from netmesh_controller.clients.cluster.connection import Backoff, Cluster, Object
from netmesh_controller.clients.cluster.errors import ClusterError, Gone

log = logging.getLogger(__name__)

PAGE = 500
# Bookmarks come about once a minute: a watch that is silent for longer may hang on a connection that is dead.
SILENT_SECONDS = 150.0
_WATCH_SECONDS = (240, 480)
_SHORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Listed:
    """All that there is: what is not among `items` is gone."""

    items: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object that came, changed or went."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    item: Object


async def follow(
    cluster: Cluster, path: str, *, selector: Mapping[str, str] | None = None, silent_seconds: float = SILENT_SECONDS
) -> AsyncGenerator[Listed | Changed, None]:
    """Listed first, then what changes, without an end; Listed again after a gap.

    `selector` are the query's labelSelector and fieldSelector. A failure that may pass is waited out; ClusterError is
    raised for others, as where the rights do not allow it (Forbidden).
    """
    pause = Backoff()
    version: str | None = None
    query = dict(selector or {})
    while True:
        try:
            if version is None:
                items, version = await _list(cluster, path, query)
                yield Listed(items)
                pause = Backoff()
            begun = time.monotonic()
            async with aclosing(_watch(cluster, path, query, version, silent_seconds)) as watching:
                async for event, version in watching:  # noqa: B007  # the version to go on from
                    if event is not None:
                        yield event
                    pause = Backoff()
            if time.monotonic() - begun < _SHORT_SECONDS:
                # A server, or a proxy before it, that ends every watch at once is not asked without a pause.
                await asyncio.sleep(pause.next())
        except Gone as gone:
            log.info("%s is listed again: %s", path, gone)
            version = None
            # A server that always answers so is not asked without a pause.
            await asyncio.sleep(pause.next())
        except ClusterError as error:
            if not error.is_passing:
                raise
            delay = pause.next(error)
            log.warning("%s: %s; again in %.1f s", path, error, delay)
            await asyncio.sleep(delay)


async def _list(cluster: Cluster, path: str, query: Mapping[str, str]) -> tuple[tuple[Object, ...], str]:
    items: list[Object] = []
    more = ""
    while True:
        asked = {**query, "limit": str(PAGE), **({"continue": more} if more else {})}
        page = await cluster.call("GET", path, query=asked)
        items += page.get("items") or ()
        more = page["metadata"].get("continue") or ""
        if not more:
            return tuple(items), page["metadata"]["resourceVersion"]


async def _watch(
    cluster: Cluster, path: str, query: Mapping[str, str], version: str, silent_seconds: float
) -> AsyncGenerator[tuple[Changed | None, str], None]:
    """Events with the version after each; None for a bookmark. Ends when the server ends the watch."""
    asked = {
        **query,
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        # Spread, so that the watches of many do not all end at one moment.
        "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),  # noqa: S311  # no secret
    }
    async with aclosing(cluster.stream(path, asked, silent_seconds)) as events:
        async for event in events:
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                message = f"the watch of {path} ended: {item.get('message') or item.get('reason')}"
                raise (Gone if item.get("code") == 410 else ClusterError)(message, item.get("code"))
            yield (None if kind == "BOOKMARK" else Changed(kind, item)), item["metadata"]["resourceVersion"]
