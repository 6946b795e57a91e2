"""The store of a controller elsewhere, over its HTTP API: what reads a store reads that one the same way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, NoReturn

import zstandard
from pydantic import TypeAdapter

from netmesh_controller.clients.controller import ControllerClient, ControllerError
from netmesh_controller.clients.reach import controller_at
from netmesh_controller.clients.store import RunDetails, RunFilter, RunInfo, RunNotFoundError, Store, StoreError
from netmesh_controller.clients.store.location import KUBERNETES
from netmesh_controller.clients.store.rows import Block, CellRow
from netmesh_controller.mesh.document import Cell, CellKey, Finding, Node, Run
from netmesh_controller.mesh.table import Series

_PAGE = 100
_LINES = 2000
_NODES = TypeAdapter(tuple[Node, ...])
_FINDINGS = TypeAdapter(tuple[Finding, ...])


async def open_remote(where: str) -> RemoteStore:
    """The store of the controller at a URL, or of the cluster's (`kubernetes`); close it as any."""
    stack = AsyncExitStack()
    try:
        client = await stack.enter_async_context(controller_at(None if where == KUBERNETES else where))
    except BaseException:
        await stack.aclose()
        raise
    return RemoteStore(client, stack)


class RemoteStore(Store):
    """Runs are read, named and deleted; what is measured is written by their controller alone (StoreError)."""

    def __init__(self, client: ControllerClient, stack: AsyncExitStack) -> None:
        self.shown = client.url
        self._client = client
        self._stack = stack

    async def close(self) -> None:
        """Ends the connections."""
        await self._stack.aclose()

    async def find(self, reference: str) -> str:
        """The id that a reference means there."""
        return str((await self._about(reference))["run"]["id"])

    async def info(self, run_id: str) -> RunDetails:
        """A run without its cells."""
        about = await self._about(run_id)
        return RunDetails(
            **_summary(about),
            nodes=_NODES.validate_python(about["nodes"]),
            findings=_FINDINGS.validate_python(about["findings"]),
        )

    async def runs(self, wanted: RunFilter | None = None, limit: int | None = None) -> list[RunInfo]:
        """The runs that fit, the latest first."""
        asked = wanted or RunFilter()
        query = {"limit": str(_PAGE if limit is None else min(limit, _PAGE))}
        named = {"name": asked.name, "tag": next(iter(asked.tags), None), "since": asked.since}
        query |= {key: value for key, value in named.items() if value is not None}
        if len(asked.states) == 1:
            query["state"] = asked.states[0]
        found: list[RunInfo] = []
        while limit is None or len(found) < limit:
            page = await self._call("GET", "runs", query=query)
            found += [RunInfo(**_summary(one)) for one in page["runs"] if _fits(one, asked)]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        return found[:limit]

    async def texts(
        self,
        run_id: str,
        *,
        source: str | None = None,
        target: str | None = None,
        path: str | None = None,
        test: str | None = None,
    ) -> AsyncGenerator[list[str], None]:
        """A run's cells in batches, each cell as its JSON."""
        if any(each is not None for each in (source, target, path, test)):
            raise StoreError(f"{self.shown}: a part of a run's cells is not read from there; read the run")
        unpacking = zstandard.ZstdDecompressor().decompressobj()
        rest, batch, head = b"", list[str](), True
        async with aclosing(self._client.download(f"runs/{run_id}/export")) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + unpacking.decompress(chunk)).split(b"\n")
                for line in lines:
                    if head:
                        head = False  # the document without its cells
                    elif line:
                        batch.append(line.decode())
                if len(batch) >= _LINES:
                    yield batch
                    batch = []
        if not unpacking.eof or rest:
            raise StoreError(f"{self.shown} broke off in run {run_id}")
        if batch:
            yield batch

    async def rename(self, run_id: str, name: str | None) -> None:
        """Gives a run a name, or takes it away."""
        await self._call("PATCH", f"runs/{run_id}", body={"name": name})

    async def tag(self, run_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Adds tags to a run and takes others away."""
        await self._call("PATCH", f"runs/{run_id}", body={"add_tags": list(add), "remove_tags": list(remove)})

    async def delete(self, run_id: str) -> None:
        """Deletes a run with all that belongs to it."""
        await self._call("DELETE", f"runs/{run_id}")

    async def begin_run(self, run: Run, nodes: Sequence[Node], *, take_over: bool = False) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def leave_run(self, run_id: str) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def put_run(self, run: Run, nodes: Sequence[Node]) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def put_cells(self, run_id: str, cells: Iterable[Cell]) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def put_rows(self, run_id: str, cells: Sequence[CellRow]) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def put_block(self, run_id: str, series: Series, block: Block) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def put_findings(self, run_id: str, findings: Sequence[Finding]) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    async def drop_cells(self, run_id: str, keys: Iterable[CellKey]) -> None:  # noqa: ARG002
        """StoreError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise StoreError(f"{self.shown} is a controller's store, which that controller alone writes")

    async def _about(self, reference: str) -> dict[str, Any]:
        about: dict[str, Any] = await self._call("GET", f"runs/{reference}")
        return about

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        try:
            return await self._client.call(method, path, **more)
        except ControllerError as error:
            if error.code == "no_run":
                raise RunNotFoundError(str(error)) from error
            raise


def _summary(about: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": Run.model_validate(about["run"]),
        "node_count": int(about["node_count"]),
        "tags": tuple(about["tags"]),
        "outcomes": dict(about["outcomes"]),
        "abandoned": bool(about["abandoned"]),
    }


def _fits(one: dict[str, Any], asked: RunFilter) -> bool:
    """What the API's own query does not say: several tags and states, and a time before."""
    checks: tuple[Callable[[], bool], ...] = (
        lambda: set(asked.tags) <= set(one["tags"]),
        lambda: not asked.states or one["run"]["state"] in asked.states,
        lambda: asked.before is None or one["run"]["started_at"] < asked.before,
    )
    return all(check() for check in checks)
