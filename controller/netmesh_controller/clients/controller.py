"""The door to a controller that stays: its HTTP API, reached directly or through the Kubernetes API server's proxy."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from netmesh_common.errors import CouldNotRunError

TOKEN_HEADER = "X-Netmesh-Token"  # noqa: S105  # the name of a header
CALL_SECONDS = 60.0
# How long a controller may be away (its pod moves, another takes over) before a watched sweep is given up.
AWAY_SECONDS = 120.0
# The controller sends a comment every 15 s.
SILENT_SECONDS = 50.0
_CHUNK = 1 << 16


class ControllerError(CouldNotRunError):
    """A controller that refuses, fails or does not answer; the text is one sentence.

    `status` is that of HTTP, 0 where there was no answer; `code` and `field` are the problem's (docs/api.md).
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field

    @property
    def is_passing(self) -> bool:
        """Whether it may be otherwise in a moment: nobody answers, or nobody leads."""
        return self.status in (0, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """An event of a sweep; see docs/api.md for kinds and data."""

    id: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """How a controller is reached: the address before `/api/v1`, and what goes with every request, asked for anew for
    each. `session` has the connections, where they are not to be made plainly; it is its owner's to close.
    """

    url: str
    headers: Callable[[], Awaitable[Mapping[str, str]]]
    session: aiohttp.ClientSession | None = None


def direct(url: str, token: str | None) -> Access:
    """A controller at a URL."""

    async def headers() -> Mapping[str, str]:
        return {} if token is None else {TOKEN_HEADER: token}

    return Access(url, headers)


class ControllerClient:
    """One controller. Use it as an async context manager."""

    def __init__(self, access: Access) -> None:
        self.url = access.url.rstrip("/")
        self._access = access
        self._session = access.session

    async def __aenter__(self) -> Self:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None and self._access.session is None:
            await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """The JSON that a request below `/api/v1` answers, None where it answers with nothing."""
        data = await self.fetch(method, path, query=query, body=body, seconds=seconds)
        try:
            return json.loads(data) if data else None
        except ValueError as error:
            raise ControllerError(f"{self.url} answered {path} with what is no JSON; is it a controller?") from error

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        accept: str | None = None,
        seconds: float = CALL_SECONDS,
    ) -> bytes:
        """The bytes that a request below `/api/v1` answers."""
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=10)
        try:
            async with self._request(method, path, timeout, query=query, json=body, accept=accept) as response:
                await self._checked(response)
                return await response.read()
        except TimeoutError as error:
            raise ControllerError(f"the controller at {self.url} did not answer in {seconds:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ControllerError(f"the controller at {self.url} cannot be reached: {error}") from error

    async def download(self, path: str, query: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer as they come."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENT_SECONDS)
        try:
            async with self._request("GET", path, timeout, query=query) as response:
                await self._checked(response)
                async for chunk in response.content.iter_chunked(_CHUNK):
                    yield chunk
        except TimeoutError as error:
            raise ControllerError(f"the controller at {self.url} sent nothing for {SILENT_SECONDS:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ControllerError(f"the controller at {self.url} broke off: {error}") from error

    async def events(self, run: str, kind: str = "sweeps") -> AsyncGenerator[ServerEvent, None]:
        """A sweep's events until it has ended, or a diagnosis' (`kind` "diagnoses").

        Goes on after a connection, or a controller, that was lost meanwhile.
        ControllerError where no controller answers for `AWAY_SECONDS`, or it does not know the sweep.
        """
        last: str | None = None
        lost_since: float | None = None
        while True:
            try:
                reading = self._events(f"{kind}/{run}/events", last)
                async with aclosing(reading):
                    async for event in reading:
                        lost_since = None
                        last = event.id
                        yield event
                        if event.kind == "finished":
                            return
                failure = ControllerError(f"the controller at {self.url} ended the events")
            except ControllerError as error:
                # A controller that was started again takes the run up in a moment; an API server that was started
                # again refuses everything until it has read who may do what.
                starting = lost_since is not None or last is not None
                refused = error.status in (401, 403) and error.code != "token"
                if not (error.is_passing or error.code == "no_sweep" or (starting and refused)):
                    raise
                failure = error
            now = time.monotonic()
            lost_since = lost_since or now
            if now - lost_since > AWAY_SECONDS:
                raise failure
            await asyncio.sleep(1.0)

    async def _events(self, path: str, last: str | None) -> AsyncGenerator[ServerEvent, None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENT_SECONDS)
        headers = {} if last is None else {"Last-Event-ID": last}
        try:
            async with self._request("GET", path, timeout, accept="text/event-stream", headers=headers) as response:
                await self._checked(response)
                fields: dict[str, str] = {}
                async for line in response.content:
                    text = line.decode().rstrip("\r\n")
                    if text:
                        name, _, value = text.partition(":")
                        fields[name] = value.removeprefix(" ")
                    elif "data" in fields:
                        yield ServerEvent(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
                        fields = {}
                    else:
                        fields = {}
        except (TimeoutError, aiohttp.ClientError) as error:
            raise ControllerError(f"the connection to the controller at {self.url} was lost: {error}") from error

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's own, for each part of the request
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("a ControllerClient is used as a context manager")
        accepted = {} if accept is None else {"Accept": accept}
        async with self._session.request(
            method,
            f"{self.url}/api/v1/{path}",
            params=query,
            json=json,
            headers={**await self._access.headers(), **(headers or {}), **accepted},
            timeout=timeout,
            allow_redirects=False,
            # A line of an event can be long.
            read_bufsize=1 << 20,
        ) as response:
            yield response

    async def _checked(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 300:
            return
        text = await response.text()
        problem: dict[str, Any] = {}
        if response.content_type in ("application/problem+json", "application/json"):
            try:
                found = json.loads(text)
                problem = found if isinstance(found, dict) else {}
            except ValueError:
                problem = {}
        # The API server's proxy speaks of itself in `message`.
        said = problem.get("detail") or problem.get("message") or " ".join(text.split())[:200] or response.reason
        if response.status == 401 and problem.get("code") == "token":
            said = f"{said}; NETMESH_TOKEN holds the token"
        raise ControllerError(
            f"{said}" if problem.get("detail") else f"{self.url} answered {response.status}: {said}",
            status=response.status,
            code=str(problem.get("code", "")),
            field=problem.get("field"),
        )
