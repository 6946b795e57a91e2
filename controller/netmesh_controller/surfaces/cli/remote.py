"""A sweep or diagnosis that a controller elsewhere runs: told, shown and cancelled as one of this process's own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console

from netmesh_common.tasks import cancelled
from netmesh_controller.clients.controller import ControllerClient, ControllerError
from netmesh_controller.clients.remote_store import RemoteStore
from netmesh_controller.engines import runs
from netmesh_controller.mesh.diagnosis.document import Cost, Diagnosis
from netmesh_controller.mesh.document import Cell, RunDocument
from netmesh_controller.mesh.outline import Outline
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode
from netmesh_controller.surfaces.terminal.estimate import show_estimate, show_remarks
from netmesh_controller.surfaces.terminal.progress import ProgressDisplay

_PROGRESS = TypeAdapter(Progress)
# A survey of a thousand agents goes before the answer.
START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sweep elsewhere ended."""

    document: RunDocument
    planned: int
    interrupted: bool


async def sweep_there(client: ControllerClient, request: Mapping[str, Any], console: Console) -> Ended | None:
    """Runs a sweep at a controller, None where `request` asks for its outline only.

    `request` is the body of `POST /api/v1/sweeps`. Ctrl-C cancels the sweep there and waits for its end.
    """
    interrupt = _Interrupt()
    with interrupt:
        started = await _call(client, "POST", "sweeps", body=dict(request), seconds=START_SECONDS)
        show_remarks(console, started["remarks"])
        show_estimate(console, Outline.model_validate(started["outline"]))
        if request.get("dry_run"):
            return None
        run = started["run"]
        watching = asyncio.create_task(_watch(client, run, console), name="watch the sweep")
        cancelling = asyncio.create_task(interrupt.cancel(client, run), name="cancel the sweep")
        try:
            await asyncio.wait([watching])
        finally:
            await cancelled(watching, cancelling)
        watching.result()
        document = await _document(client, run)
    interrupted = document.run.state == "cancelled"
    return Ended(document, started["planned"], interrupted)


async def diagnose_there(
    client: ControllerClient,
    source: str,
    target: str,
    *,
    quick: bool,
    on_step: Callable[[str], None],
    on_begun: Callable[[Cost], None],
) -> Diagnosis | None:
    """Diagnoses a pair at a controller; None where it was cancelled. `on_step` is told each step in words,
    `on_begun` what it may come to.

    Ctrl-C cancels the diagnosis there and waits for its end.
    """
    with (interrupt := _Interrupt()):
        body = {"source": source, "target": target, "quick": quick}
        run = (await _call(client, "POST", "diagnoses", body=body, seconds=START_SECONDS))["run"]
        cancelling = asyncio.create_task(interrupt.cancel(client, run, "diagnoses"), name="cancel the diagnosis")
        try:
            async for event in client.events(run, "diagnoses"):
                if event.kind == "started" and event.data.get("most") is not None:
                    on_begun(Cost.model_validate(event.data["most"]))
                elif event.kind == "step":
                    on_step(f"{event.data['number']} of at most {event.data['of']}: {event.data['title']}")
                elif event.kind == "finished" and event.data["diagnosis"] is not None:
                    return Diagnosis.model_validate(event.data["diagnosis"])
                elif event.kind == "finished" and event.data["state"] != "cancelled":
                    raise ControllerError(f"diagnosis {run} ended without a verdict: {event.data['state']}")
        finally:
            await cancelled(cancelling)
    return None


async def _document(client: ControllerClient, run: str) -> RunDocument:
    try:
        return RunDocument.model_validate_json(await client.fetch("GET", f"runs/{run}/document"))
    except ControllerError as error:
        if error.code != "too_many_cells":
            raise
        return runs.stored_document(await RemoteStore(client, AsyncExitStack()).load(run))


async def _watch(client: ControllerClient, run: str, console: Console) -> None:
    with ProgressDisplay(console) as live:
        async for event in client.events(run):
            match event.kind:
                case "progress":
                    live.update(_PROGRESS.validate_python(event.data))
                case "cell" if event.data["outcome"] != "measured":
                    live.failed(Cell.model_validate({**event.data, "values": {}}))


async def _call(client: ControllerClient, method: str, path: str, *, body: Any, seconds: float) -> Any:
    """As `client.call`; what is wrong with an option is told as that option's."""
    try:
        return await client.call(method, path, body=body, seconds=seconds)
    except ControllerError as error:
        if error.status in (400, 404):
            raise BadUsageError(str(error)) from error
        raise


class _Interrupt:
    """Ctrl-C and SIGTERM: the first cancels the sweep, the second ends this process at once."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self._asked.is_set():
            raise SystemExit(ExitCode.INTERRUPTED)
        self._asked.set()

    async def cancel(self, client: ControllerClient, run: str, kind: str = "sweeps") -> None:
        """Waits for the first signal, then cancels the sweep or diagnosis there; its events tell the rest."""
        await self._asked.wait()
        while True:
            try:
                await client.call("DELETE", f"{kind}/{run}")
            except ControllerError as error:
                if not error.is_passing:
                    return  # it has ended by itself
                await asyncio.sleep(1.0)
            else:
                return
