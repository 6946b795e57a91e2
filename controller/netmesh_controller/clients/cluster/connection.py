"""Calls to the API server: with the service account inside of a cluster, with a kubeconfig outside."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config.incluster_config import SERVICE_HOST_ENV_NAME, SERVICE_TOKEN_FILENAME

from netmesh_controller.clients.cluster.errors import ClusterError, error_from

log = logging.getLogger(__name__)

DEFAULT_NAMESPACE = "netmesh"
CALL_SECONDS = 10.0
# What a line of a watch may take: one object. etcd takes 1.5 MB by default.
_LINE_BYTES = 4 * 2**20

Object = dict[str, Any]


def in_cluster() -> bool:
    """Whether this process runs in a pod with a service account's token."""
    return bool(os.environ.get(SERVICE_HOST_ENV_NAME)) and Path(SERVICE_TOKEN_FILENAME).is_file()


class Cluster:
    """One API server. `namespace` is where netmesh lives."""

    def __init__(self, configuration: Configuration, namespace: str) -> None:
        self.namespace = namespace
        self.server = str(configuration.host)
        self._api = ApiClient(configuration)

    async def close(self) -> None:
        """Ends the connections."""
        await self._api.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections to this API server, with its TLS, for calls of another kind; it ends with the cluster."""
        session: aiohttp.ClientSession = self._api.rest_client.pool_manager
        return session

    async def headers(self) -> dict[str, str]:
        """What a call of another kind says of who makes it; asked for anew each time, since credentials end."""
        headers: dict[str, str] = {}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        return headers

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        seconds: float = CALL_SECONDS,
        retry_seconds: float = 0.0,
        content_type: str | None = None,
    ) -> Object:
        """One call; the answer's object.

        `content_type` is the body's where it is not plain JSON. `retry_seconds` is how long passing failures are tried
        again, with growing pauses; for calls that may be made twice. Raises ClusterError, or the kind of it that fits.
        """
        until = time.monotonic() + retry_seconds
        pause = Backoff(most_seconds=5.0)
        while True:
            try:
                return await self._once(method, path, query, body, seconds, content_type)
            except ClusterError as error:
                delay = pause.next(error)
                if not error.is_passing or time.monotonic() + delay > until:
                    raise
                log.info("tried again in %.1f s: %s", delay, error)
            await asyncio.sleep(delay)

    async def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        seconds: float,
        content_type: str | None,
    ) -> Object:
        what = f"{method} {path}"
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with self._open(method, path, query, body, timeout, content_type) as answer:
                text = await answer.text()
        except TimeoutError as error:
            raise ClusterError(f"the API server at {self.server} did not answer {what} in {seconds:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ClusterError(f"the API server at {self.server} cannot be reached: {error}") from error
        if answer.status >= 400:
            raise error_from(answer.status, text, what, answer.headers.get("Retry-After"))
        parsed: Object = json.loads(text)
        return parsed

    async def stream(self, path: str, query: Mapping[str, str], silent_seconds: float) -> AsyncGenerator[Object, None]:
        """The objects of an answer that goes on, a line each; ends when the server ends it.

        ClusterError where nothing came for `silent_seconds`, or the connection broke.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CALL_SECONDS, sock_read=silent_seconds)
        try:
            async with self._open("GET", path, query, None, timeout) as answer:
                if answer.status >= 400:
                    text = await answer.text()
                    raise error_from(answer.status, text, f"GET {path}", answer.headers.get("Retry-After"))
                async for line in _lines(answer.content):
                    yield json.loads(line)
        except TimeoutError as error:
            raise ClusterError(f"the API server at {self.server} said nothing for {silent_seconds:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ClusterError(f"the API server at {self.server} ended the watch: {error}") from error

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's own, for each part of the call
        content_type: str | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        answer: aiohttp.ClientResponse = await self._api.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type or "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeout,
        )
        try:
            yield answer
        finally:
            # An answer that was read to its end has given its connection back. One that is left before, as a watch is,
            # would say TLS' goodbye and wait for the server's, beyond the end of the process' loop.
            if answer.connection is not None and answer.connection.transport is not None:
                answer.connection.transport.abort()
            answer.close()


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    # StreamReader.readline() ends a line that is longer than its buffer with an error.
    held = bytearray()
    async for chunk in content.iter_any():
        held += chunk
        if len(held) > _LINE_BYTES and b"\n" not in held:
            raise ClusterError(f"an object of a watch is larger than {_LINE_BYTES} bytes")
        *whole, rest = held.split(b"\n")
        for line in whole:
            if line:
                yield bytes(line)
        held = bytearray(rest)


class Backoff:
    """Pauses that grow from a fifth of a second, with jitter, so that many do not come back at one moment."""

    def __init__(self, most_seconds: float = 30.0) -> None:
        self._most = most_seconds
        self._next = 0.2

    def next(self, error: ClusterError | None = None) -> float:
        """How long to wait before the next try, at least as long as the server asks for."""
        pause = self._next * random.uniform(0.5, 1.5)  # noqa: S311  # no secret
        self._next = min(self._next * 2, self._most)
        asked = error.retry_after_seconds if error is not None else None
        return max(pause, asked or 0.0)


async def connect(*, kubeconfig: Path | None = None, namespace: str | None = None) -> Cluster:
    """The cluster that this process runs in, else that of `kubeconfig` (or of KUBECONFIG, or ~/.kube/config).

    The namespace is the one given, else NETMESH_NAMESPACE, else "netmesh". Raises ClusterError where there is no
    cluster to be found; nothing is called yet.
    """
    configuration = Configuration()
    # Chain and name are verified. Strict beyond that (Python 3.13's default) would refuse the many clusters whose
    # authority was made without an authority key identifier, which kubectl takes.
    configuration.disable_strict_ssl_verification = True
    try:
        if kubeconfig is None and in_cluster():
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            file = None if kubeconfig is None else str(kubeconfig)
            await config.load_kube_config(config_file=file, client_configuration=configuration, persist_config=False)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise ClusterError(f"there is no Kubernetes cluster to be found: {error}") from error
    chosen = namespace or os.environ.get("NETMESH_NAMESPACE") or DEFAULT_NAMESPACE
    return Cluster(configuration, chosen)
