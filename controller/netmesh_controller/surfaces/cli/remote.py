"""A sweep that a controller elsewhere runs: told, shown and cancelled as one of this process's own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console

from netmesh_common.tasks import cancelled
from netmesh_controller.clients.controller import Access, ControllerClient, ControllerError, direct
from netmesh_controller.mesh.document import Cell, RunDocument
from netmesh_controller.mesh.outline import Outline
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode
from netmesh_controller.surfaces.terminal.estimate import show_estimate
from netmesh_controller.surfaces.terminal.progress import ProgressDisplay

KUBECONFIG = Path("~/.kube/config").expanduser()
TOKEN_VARIABLE = "NETMESH_TOKEN"  # noqa: S105  # the name of a variable
_PROGRESS = TypeAdapter(Progress)
# A survey of a thousand agents goes before the answer.
START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sweep elsewhere ended."""

    document: RunDocument
    planned: int
    interrupted: bool


@asynccontextmanager
async def controller_at(url: str | None) -> AsyncIterator[ControllerClient]:
    """The controller at a URL, with the token of NETMESH_TOKEN; without one that of the Kubernetes cluster: in a pod by
    its Service, elsewhere through the API server's proxy, with the token of its Secret.

    BadUsageError where the URL is none or there is no cluster; ClusterError where the token is not to be had.
    """
    async with AsyncExitStack() as stack:
        if url is not None:
            if not url.startswith(("http://", "https://")):
                raise BadUsageError(f"--controller: '{url}' is not a URL such as http://10.0.0.7:9412")
            access = direct(url, os.environ.get(TOKEN_VARIABLE))
        else:
            access = await _of_the_cluster(stack)
        yield await stack.enter_async_context(ControllerClient(access))


def may_have_cluster() -> bool:
    """Whether this user or pod seems to have a Kubernetes cluster at all."""
    return bool(os.environ.get("KUBECONFIG") or os.environ.get("KUBERNETES_SERVICE_HOST")) or KUBECONFIG.is_file()


async def _of_the_cluster(stack: AsyncExitStack) -> Access:
    # Only here: the client's package takes more than a second to import.
    from netmesh_controller.clients.cluster import ClusterError, connect, in_cluster  # noqa: PLC0415
    from netmesh_controller.clients.cluster.service_proxy import in_pod, proxied  # noqa: PLC0415

    try:
        cluster = await stack.enter_async_context(await connect())
    except ClusterError as error:
        raise BadUsageError(
            "where are the agents? Give --lab N|FILE|NAME, --agents FILE|HOST:PORT,… or --controller URL; "
            f"else they are those of a Kubernetes cluster, but {error}"
        ) from error
    return await (in_pod(cluster) if in_cluster() else proxied(cluster))


async def sweep_there(client: ControllerClient, request: Mapping[str, Any], console: Console) -> Ended | None:
    """Runs a sweep at a controller, None where `request` asks for its outline only.

    `request` is the body of `POST /api/v1/sweeps`. Ctrl-C cancels the sweep there and waits for its end.
    """
    interrupt = _Interrupt()
    with interrupt:
        started = await _call(client, "POST", "sweeps", body=dict(request), seconds=START_SECONDS)
        for sentence in started["remarks"]:
            console.print(sentence, highlight=False, soft_wrap=True)
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
        document = RunDocument.model_validate_json(await client.fetch("GET", f"runs/{run}/document"))
    interrupted = document.run.state == "cancelled"
    return Ended(document, started["planned"], interrupted)


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

    async def cancel(self, client: ControllerClient, run: str) -> None:
        """Waits for the first signal, then cancels the sweep there; its events tell the rest."""
        await self._asked.wait()
        while True:
            try:
                await client.call("DELETE", f"sweeps/{run}")
            except ControllerError as error:
                if not error.is_passing:
                    return  # it has ended by itself
                await asyncio.sleep(1.0)
            else:
                return
