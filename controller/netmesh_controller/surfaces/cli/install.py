"""`netmesh-controller install` and `uninstall`: the manifests of `deploy/`, into a cluster and out of it."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated

import typer
import yaml
from rich.console import Console

from netmesh_common import logs
from netmesh_common.units import parse_duration
from netmesh_controller.clients.cluster import Cluster, ClusterError, connect
from netmesh_controller.clients.cluster.applying import Applier
from netmesh_controller.deployment import COMPONENTS, HOST_NETWORK, Object, manifests
from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError, one_sentence

POLL_SECONDS = 1.0
# Kinds that run pods, and how many of those are wanted and ready.
_WORKLOADS = ("DaemonSet", "Deployment")

# The grammar of image references: github.com/distribution/reference.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?")

With = Annotated[
    str | None,
    typer.Option("--with", help=f"Also, separated by commas: {', '.join((*COMPONENTS, HOST_NETWORK))}."),
]


def install(
    extras: With = None,
    registry: Annotated[str | None, typer.Option(help="Where the images are, such as registry.example/team.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag of the images. [this version]")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print the manifests as YAML, and install nothing.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait until all is ready; 0s: not at all.")] = "5m",
) -> None:
    """Install netmesh in the cluster of the kubeconfig, or bring what is there up to date (server-side apply)."""
    logs.set_up("error")
    with one_sentence():
        components, host_network = _parsed(extras)
        _check_image(registry, tag)
        objects = manifests(components, host_network=host_network, registry=registry, tag=tag)
        if print_:
            typer.echo(yaml.safe_dump_all(objects, sort_keys=False), nl=False)
            return
        seconds = _seconds(wait)
        asyncio.run(_install(objects, seconds))


def uninstall(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait until all is gone; 0s: not at all.")] = "5m",
) -> None:
    """Remove netmesh and all that it stored from the cluster of the kubeconfig."""
    logs.set_up("error")
    with one_sentence():
        seconds = _seconds(wait)
        objects = manifests(COMPONENTS, host_network=True)
        asyncio.run(_uninstall(objects, seconds, asked=yes))


def _parsed(extras: str | None) -> tuple[list[str], bool]:
    names = [name.strip() for name in extras.split(",")] if extras else []
    for name in names:
        if name not in (*COMPONENTS, HOST_NETWORK):
            raise BadUsageError(f"--with: there is no '{name}'; there are {', '.join((*COMPONENTS, HOST_NETWORK))}")
    if {"storage", "postgresql"} <= set(names):
        raise BadUsageError("--with: storage and postgresql are two places for the same results; give one of them")
    return [name for name in names if name != HOST_NETWORK], HOST_NETWORK in names


def _check_image(registry: str | None, tag: str | None) -> None:
    if registry is not None and not _REGISTRY.fullmatch(registry):
        raise BadUsageError(f"--registry: '{registry}' is not HOST[:PORT][/PATH], such as registry.example/team")
    if tag is not None and not _TAG.fullmatch(tag):
        raise BadUsageError(f"--tag: '{tag}' is no tag of an image, such as 1.2.0")


def _seconds(wait: str) -> float:
    try:
        return parse_duration(wait)
    except ValueError as error:
        raise BadUsageError(f"--wait: {error}") from error


async def _install(objects: list[Object], seconds: float) -> None:
    console = Console(stderr=True)
    async with await connect() as cluster:
        applier = Applier(cluster)
        for thing in objects:
            await applier.apply(thing)
            console.print(f"{_named(thing)} is applied", highlight=False)
        until = time.monotonic() + seconds
        waiting = [thing for thing in objects if thing["kind"] in _WORKLOADS]
        while waiting and seconds > 0:
            waiting = [thing for thing in waiting if not _ready(await applier.get(thing))]
            if waiting and time.monotonic() > until:
                raise CouldNotRunError(
                    f"{', '.join(map(_named, waiting))}: not ready after {seconds:.0f} s; kubectl get pods -n "
                    f"{waiting[0]['metadata']['namespace']} says more"
                )
            if waiting:
                await asyncio.sleep(POLL_SECONDS)
    console.print("netmesh is installed. Measure with: netmesh-controller sweep", highlight=False)


def _ready(thing: Object | None) -> bool:
    """Whether a workload's present form runs, as `kubectl rollout status` sees it."""
    if thing is None:
        return False
    status = thing.get("status", {})
    if status.get("observedGeneration", 0) < thing["metadata"]["generation"]:
        return False
    if thing["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) >= wanted and status.get("numberAvailable", 0) >= wanted)
    # Of two controllers one leads, and only that one is ready.
    return bool(status.get("updatedReplicas", 0) >= thing["spec"]["replicas"] and status.get("availableReplicas", 0))


async def _uninstall(objects: list[Object], seconds: float, *, asked: bool) -> None:
    console = Console(stderr=True)
    async with await connect() as cluster:
        applier = Applier(cluster)
        there = [thing for thing in reversed(objects) if await _get(applier, thing) is not None]
        if not there:
            console.print(f"netmesh is not in the cluster at {cluster.server}", highlight=False)
            return
        if not asked:
            typer.confirm(f"Remove netmesh, with all that it stored, from {cluster.server}?", abort=True)
        # What is in netmesh's namespaces goes with them.
        namespaces = {thing["metadata"]["name"] for thing in there if thing["kind"] == "Namespace"}
        for thing in there:
            if thing["metadata"].get("namespace") not in namespaces:
                await applier.remove(thing)
                console.print(f"{_named(thing)} is removed", highlight=False)
        await _until_gone(cluster, applier, [thing for thing in there if thing["kind"] == "Namespace"], seconds)
    console.print("netmesh is removed.", highlight=False)


async def _until_gone(cluster: Cluster, applier: Applier, namespaces: list[Object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while seconds > 0:
        namespaces = [thing for thing in namespaces if await _get(applier, thing) is not None]
        if not namespaces:
            return
        if time.monotonic() > until:
            names = ", ".join(thing["metadata"]["name"] for thing in namespaces)
            raise CouldNotRunError(f"namespace {names} is still there after {seconds:.0f} s, at {cluster.server}")
        await asyncio.sleep(POLL_SECONDS)


async def _get(applier: Applier, thing: Object) -> Object | None:
    try:
        return await applier.get(thing)
    except ClusterError as error:
        if error.status == 404:
            return None  # a kind that this cluster does not have, such as the Prometheus operator's
        raise


def _named(thing: Object) -> str:
    metadata = thing["metadata"]
    where = f" in {metadata['namespace']}" if "namespace" in metadata else ""
    return f"{thing['kind']} {metadata['name']}{where}"
