"""`netmesh-controller diagnose`: why is this pair slow?"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from netmesh_common import logs
from netmesh_controller.clients.reach import controller_at
from netmesh_controller.clients.store import open_store
from netmesh_controller.engines import runs
from netmesh_controller.engines.diagnosis import Diagnosing, patience
from netmesh_controller.engines.diagnosis import diagnose as diagnose_pair
from netmesh_controller.engines.survey import survey
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.diagnosis.document import Cost, Diagnosis
from netmesh_controller.mesh.diagnosis.steps import STEPS, Step
from netmesh_controller.mesh.document import Run
from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError, ExitCode, one_sentence
from netmesh_controller.surfaces.cli.sources import agent_source
from netmesh_controller.surfaces.reports.diagnosis import page
from netmesh_controller.surfaces.terminal.diagnosis import show_diagnosis, stated


def diagnose(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A node.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Another node.")],
    quick: Annotated[bool, typer.Option("--quick", help="Within seconds, with shorter tests and fewer steps.")] = False,
    protocol: Annotated[bool, typer.Option("--protocol", help="Also show every step.")] = False,
    lab: Annotated[str | None, typer.Option(help="A lab: N nodes, a lab file, or the name of one that is up.")] = None,
    agents: Annotated[str | None, typer.Option(help="Agents: a YAML file, or HOST:PORT,…")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder with the controller's ca.crt, tls.crt, tls.key (with --agents).")
    ] = None,
    controller: Annotated[
        str | None, typer.Option(metavar="URL", help="A controller that stays measures; NETMESH_TOKEN is its token.")
    ] = None,
    output_format: Annotated[
        Literal["terminal", "json", "html"],
        typer.Option("--format", help="json and html write the diagnosis alone on stdout."),
    ] = "terminal",
    output: Annotated[
        list[Path] | None, typer.Option(help="A file to write: .html or .json. May be given several times.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Measures a pair of nodes step by step and says why it is slow, with the evidence and what to do.

    Exit code 0: nothing is wrong. 5: something was found. 3: not enough could be measured to say.
    """
    logs.set_up("info" if verbose else "error")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    files, silent = output or [], output_format != "terminal"
    with one_sentence():
        _check(files)
        if controller is not None and not (lab is None and agents is None):
            raise BadUsageError("--controller: the agents are that controller's; leave --lab and --agents out")
        if lab is None and agents is None:
            found = asyncio.run(_there(controller, source, target, quick=quick, silent=silent))
        else:
            with agent_source(lab, agents, certificates) as where:
                found = asyncio.run(_diagnose(where, source, target, quick=quick, silent=silent))
        if output_format == "terminal":
            show_diagnosis(Console(), found, protocol=protocol)
        else:
            typer.echo(written(found, output_format), nl=False)
        for file in files:
            file.write_text(written(found, file.suffix.removeprefix(".")))
    raise typer.Exit(exit_code(found))


def _check(files: Sequence[Path]) -> None:
    """BadUsageError where one of the files cannot be written, before anything is measured."""
    for file in files:
        if file.suffix not in (".html", ".json"):
            raise BadUsageError(f"--output: {file} ends in neither .html nor .json")
        if not file.parent.is_dir():
            raise BadUsageError(f"--output: there is no folder {file.parent}")
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise BadUsageError(f"--output: {file} cannot be written")


def written(found: Diagnosis, how: str) -> str:
    """The diagnosis as `html` or `json`."""
    return page(found) if how == "html" else found.model_dump_json(by_alias=True, indent=1) + "\n"


def exit_code(found: Diagnosis) -> ExitCode:
    """What the first verdict means for a script."""
    match found.verdicts[0].code:
        case "healthy":
            return ExitCode.COMPLETE
        case "insufficient_evidence":
            return ExitCode.GAPS
        case _:
            return ExitCode.FOUND


async def _there(controller: str | None, source: str, target: str, *, quick: bool, silent: bool) -> Diagnosis:
    # Only here: HTTP takes a third of a second to import.
    from netmesh_controller.surfaces.cli.remote import diagnose_there  # noqa: PLC0415

    console = Console(stderr=True)
    async with controller_at(controller) as client:
        with console.status("") as status:
            on_step = (lambda _: None) if silent else status.update

            def on_begun(most: Cost) -> None:
                if not silent:
                    console.print(stated(most), highlight=False, soft_wrap=True)

            found = await diagnose_there(client, source, target, quick=quick, on_step=on_step, on_begun=on_begun)
    if found is None:
        console.print("Interrupted; what was measured is kept.", highlight=False)
        raise SystemExit(ExitCode.INTERRUPTED)
    return found


async def _diagnose(where: Source, source: str, target: str, *, quick: bool, silent: bool) -> Diagnosis:
    console = Console(stderr=True)
    async with where.running():
        await where.refresh()
        found = await survey(
            await where.locate(), where.certificates, presence=where.presence(), **patience(quick=quick)
        )
        try:
            if not found.agents:
                raise CouldNotRunError(f"no agent answered: {runs.unreachable_reason(found.unreachable)}")
            store = await open_store()
            try:
                with console.status("") as status:

                    def on_step(step: Step) -> None:
                        status.update(f"{STEPS.index(step) + 1} of at most {len(STEPS)}: {step.title}")

                    def on_begun(_: Run, diagnosing: Diagnosing) -> None:
                        if not silent:
                            console.print(stated(diagnosing.most()), highlight=False, soft_wrap=True)

                    work = asyncio.ensure_future(
                        diagnose_pair(
                            source,
                            target,
                            found,
                            store,
                            quick=quick,
                            on_step=(lambda _: None) if silent else on_step,
                            on_begun=on_begun,
                            facts={**where.facts, "source": where.recorded},
                        )
                    )
                    for number in (signal.SIGINT, signal.SIGTERM):
                        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
                    return await work
            except asyncio.CancelledError:
                console.print("Interrupted; what was measured is kept.", highlight=False)
                raise SystemExit(ExitCode.INTERRUPTED) from None
            finally:
                await store.close()
        finally:
            await found.close()
