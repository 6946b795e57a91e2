"""`netmesh-controller serve`: the controller that stays, with its HTTP API."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from netmesh_common import logs
from netmesh_common.units import parse_duration
from netmesh_controller.app import Settings
from netmesh_controller.app import serve as serve_until_stopped
from netmesh_controller.clients.store import data_directory
from netmesh_controller.engines.monitor import Checking
from netmesh_controller.memory import give_back_large_arrays
from netmesh_controller.mesh.background.options import parse_allowance
from netmesh_controller.mesh.probing.checks import parse_checks
from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError, one_sentence
from netmesh_controller.surfaces.cli.sources import agent_source
from netmesh_controller.token import VARIABLE, token_source

PORT = 9412


def serve(
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS[:PORT]", help="Where the API listens. [127.0.0.1:9412; in a pod everywhere]"),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the API's token. [made in the data directory; in a pod: a Secret]")
    ] = None,
    public_read: Annotated[
        bool, typer.Option("--public-read", help="Reading, /metrics included, needs no token.")
    ] = False,
    lab: Annotated[str | None, typer.Option(help="A lab: N nodes, a lab file, or the name of one that is up.")] = None,
    agents: Annotated[str | None, typer.Option(help="Agents: a YAML file, or HOST:PORT,…")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder with the controller's ca.crt, tls.crt, tls.key (with --agents).")
    ] = None,
    monitor: Annotated[
        bool, typer.Option("--monitor/--no-monitor", help="Have the agents probe each other all the time.")
    ] = True,
    pair_metrics: Annotated[
        bool, typer.Option("--pair-metrics", help="Metrics of every pair: four series a pair; see docs/monitoring.md.")
    ] = False,
    check: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WHAT",
            help="All agents ask this all the time: tcp://HOST:PORT, dns://[SERVER/]NAME or api-server. Repeatable.",
        ),
    ] = None,
    check_interval: Annotated[
        str, typer.Option(metavar="DURATION", help="Between two questions of a check, from 1s on.")
    ] = "10s",
    background_bandwidth: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Test pairs' bandwidth one after the other, with so many bytes a day at most. [off]"
        ),
    ] = None,
    background_share: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Of the slower line's rate, what such a test may be offered. [10%]"),
    ] = None,
    background_rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="The most that such a test is offered; needed where no line's rate is known."
        ),
    ] = None,
    background_rest: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long a node has no such test after one. [1m]")
    ] = None,
    background_pause_if: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="No such test at a node where this holds. [cpu>50%]")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Stay, and serve the HTTP API: sweeps are started over it, and resumed after a restart."""
    logs.set_up("info" if verbose else "warning")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    give_back_large_arrays()
    with one_sentence():
        checking = _checking(check or [], check_interval)
        background = parse_allowance(
            background_bandwidth,
            share=background_share,
            rate=background_rate,
            rest=background_rest,
            pause_if=background_pause_if,
        )
        if background is not None and not monitor:
            raise BadUsageError(
                "--background-bandwidth: it goes by what monitoring sees of the nodes; leave --no-monitor out"
            )
        in_pod = lab is None and agents is None and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
        token, where = _token(token_file, in_pod=in_pod)
        # Bound before a lab is entered: the process moves into its network then, the socket stays here.
        listener = _everywhere() if listen is None and in_pod else _bound(listen or f"127.0.0.1:{PORT}")
        with agent_source(lab, agents, certificates, stays=True) as source:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            typer.echo(f"The API is at http://{shown}/api/v1; its token is {where}.")
            if os.environ.get("NETMESH_DATA_KEPT") == "pod":
                typer.echo(
                    "Results live as long as this pod, on its emptyDir; component storage or postgresql keeps them."
                )
            settings = Settings(
                listener,
                token,
                public_read,
                elected=in_pod,
                monitors=monitor,
                pair_metrics=pair_metrics,
                checks=checking,
                background=background,
            )
            asyncio.run(serve_until_stopped(settings, source))


def _checking(texts: list[str], interval: str) -> Checking:
    try:
        checks = parse_checks(texts)
    except ValueError as error:
        raise BadUsageError(f"--check: {error}") from error
    try:
        seconds = parse_duration(interval)
    except ValueError as error:
        raise BadUsageError(f"--check-interval: {error}") from error
    if not 1 <= seconds <= 3600:
        raise BadUsageError(f"--check-interval: {interval} is not from 1s to 1h")
    return Checking(checks, seconds)


def _token(file: Path | None, *, in_pod: bool) -> tuple[Callable[[], str] | None, str]:
    if in_pod and file is None and os.environ.get(VARIABLE) is None:
        return None, "in Secret netmesh-token"
    return token_source(file, data_directory())


def _everywhere() -> socket.socket:
    """Every address of the families that there are."""
    return _bound("[::]") if socket.has_dualstack_ipv6() else _bound("0.0.0.0")  # noqa: S104  # a pod's own network


def _bound(listen: str) -> socket.socket:
    host, port = _parsed(listen)
    address = ipaddress.ip_address(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=128, dualstack_ipv6=address.version == 6 and address.is_unspecified
        )
    except OSError as error:
        raise CouldNotRunError(f"--listen: {listen} cannot be listened on: {error.strerror}") from error


def _parsed(listen: str) -> tuple[str, int]:
    host, port = listen, str(PORT)
    if listen.startswith("["):
        host, _, rest = listen[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif listen.count(":") == 1:
        host, _, port = listen.partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise BadUsageError(f"--listen: '{listen}' is not ADDRESS[:PORT], such as 127.0.0.1:9412 or [::]") from None
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise BadUsageError(f"--listen: '{port}' is not a port from 0 to 65535")
    return host, int(port)
