"""`netmesh-controller runs`: what is stored, and what can be done with it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from rich.console import Console

from netmesh_controller.clients.runfile import DOCUMENT, LINES, MOST_CELLS_OF_A_DOCUMENT
from netmesh_controller.clients.store import RunFilter, RunInfo, Store, open_store
from netmesh_controller.clients.store.shapes import MOMENT
from netmesh_controller.engines import exchange
from netmesh_controller.mesh.document import RunState
from netmesh_controller.surfaces.cli.errors import BadUsageError, one_sentence
from netmesh_controller.surfaces.terminal.runs import show_runs

runs = typer.Typer(help="Stored runs: list, rename, tag, delete, export and import them.", rich_markup_mode=None)

Reference = Annotated[str, typer.Argument(metavar="RUN", help="An id, the beginning of one, a name, or latest.")]
Format = Annotated[Literal["terminal", "json"], typer.Option("--format", help="json writes JSON on stdout.")]


@runs.callback(invoke_without_command=True)
def without_command(context: typer.Context) -> None:
    """Lists the runs where no command is given."""
    if context.invoked_subcommand is None:
        list_()


@runs.command("list")
def list_(
    name: Annotated[str | None, typer.Option(help="A part of the name or of the id.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only runs with this tag; several: with all of them.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="running, complete, partial, cancelled or failed; may be given again.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Started then or later, such as 2026-11-23.")] = None,
    before: Annotated[str | None, typer.Option(help="Started before.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    output_format: Format = "terminal",
) -> None:
    """List runs, the latest first."""
    with one_sentence():
        since, before = _moment("--since", since), _moment("--before", before)
        wanted = RunFilter(name, tuple(tag or ()), _states(state), since, before)
        found = _with_store(lambda store: store.runs(wanted, limit + 1))
        more = len(found) > limit
        if output_format == "json":
            typer.echo(json.dumps([as_json(info) for info in found[:limit]], indent=1))
            return
        show_runs(Console(), found[:limit])
        if more:
            typer.echo(f"There are more than these {limit}: --limit shows them.")


@runs.command("rename")
def rename(run: Reference, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Give a run a name; an empty one takes it away."""
    with one_sentence():
        if name == "latest":
            raise BadUsageError("NAME: 'latest' means the latest run; give another name")
        _with_store(lambda store: _of_run(store, run, lambda run_id: store.rename(run_id, name or None)))


@runs.command("tag")
def tag(
    run: Reference,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to take away; may be given again.")] = None,
) -> None:
    """Add tags to a run, or take them away."""
    with one_sentence():
        if not tags and not remove:
            raise BadUsageError("TAG: give a tag to add, or one to --remove")
        if any(not each.strip() for each in (*(tags or ()), *(remove or ()))):
            raise BadUsageError("TAG: an empty one is no tag")
        _with_store(lambda store: _of_run(store, run, lambda run_id: store.tag(run_id, tags or (), remove or ())))


@runs.command("delete")
def delete(runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs to delete.")]) -> None:
    """Delete runs with all their cells."""

    async def work(store: Store) -> list[str]:
        # All are found before the first is deleted: `latest` is another run afterwards.
        ids = list(dict.fromkeys([await store.find(run) for run in runs]))
        for run_id in ids:
            await store.delete(run_id)
        return ids

    with one_sentence():
        for run_id in _with_store(work):
            typer.echo(f"Run {run_id} is deleted.")


@runs.command("export")
def export(
    run: Reference,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Ends in .json, .jsonl or .jsonl.zst. [named after the run]"),
    ] = None,
) -> None:
    """Write a whole run to a file."""

    async def work(store: Store) -> tuple[str, Path, int]:
        about = await store.info(await store.find(run))
        ending = DOCUMENT if about.cells <= MOST_CELLS_OF_A_DOCUMENT else LINES
        path = file or Path(f"{about.run.id}{ending}")
        return about.run.id, path, await exchange.export_run(store, about.run.id, path)

    with one_sentence():
        run_id, path, cells = _with_store(work)
        typer.echo(f"Run {run_id} with {cells} cells is written to {path}.")


@runs.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Run files: .json, .jsonl or .jsonl.zst.")],
    replace: Annotated[bool, typer.Option("--replace", help="In place of a stored run of the same id.")] = False,
) -> None:
    """Put runs of files into the store."""

    async def work(store: Store) -> AsyncIterator[RunInfo]:
        for file in files:
            yield await exchange.import_run(store, file, replace=replace)

    async def all_of(store: Store) -> None:
        async for info in work(store):
            typer.echo(f"Run {info.run.id} with {info.cells} cells is stored.")

    with one_sentence():
        _with_store(all_of)


def as_json(info: RunInfo) -> dict[str, Any]:
    """A run without its cells, as it is listed."""
    return {
        **info.run.model_dump(mode="json", exclude={"plan", "facts"}),
        "tags": list(info.tags),
        "nodes": info.node_count,
        "cells": info.cells,
        "measured": info.measured,
        "outcomes": info.outcomes,
        "abandoned": info.abandoned,
    }


def _states(given: list[str] | None) -> tuple[RunState, ...]:
    for state in given or ():
        if state not in get_args(RunState):
            raise BadUsageError(f"--state: there is no state '{state}'; the states are {', '.join(get_args(RunState))}")
    return tuple(given or ())  # type: ignore[arg-type]  # looked at above


def _moment(option: str, given: str | None) -> str | None:
    if given is not None and re.fullmatch(MOMENT, given) is None:
        raise BadUsageError(f"{option}: '{given}' is no time in UTC such as 2026-11-23 or 2026-11-23T06:30:00Z")
    return given


async def _of_run(store: Store, reference: str, work: Any) -> None:
    await work(await store.find(reference))


def _with_store(work: Any) -> Any:
    async def run() -> Any:
        async with opened() as store:
            return await work(store)

    return asyncio.run(run())


@asynccontextmanager
async def opened() -> AsyncIterator[Store]:
    """The store of a command, closed at its end."""
    store = await open_store()
    try:
        yield store
    finally:
        await store.close()
