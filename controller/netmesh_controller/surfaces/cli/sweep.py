"""`netmesh-controller sweep`: every ordered pair, once."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from netmesh_common import logs
from netmesh_common.garbage import steady
from netmesh_common.tasks import cancelled
from netmesh_controller.clients.reach import controller_at, may_have_cluster
from netmesh_controller.clients.runfile import LINES, MOST_CELLS_OF_A_DOCUMENT
from netmesh_controller.clients.store import RunNotFoundError, Store, StoredRun, open_store
from netmesh_controller.engines import runs
from netmesh_controller.engines.exchange import export_run, stored_id, stored_run
from netmesh_controller.engines.survey import survey
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.inventory.source import Source
from netmesh_controller.memory import give_back_large_arrays
from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Cell, Run
from netmesh_controller.mesh.findings.history import LEAST_RUNS
from netmesh_controller.mesh.outline import outline_of
from netmesh_controller.mesh.yamltext import YamlTextError, loaded
from netmesh_controller.surfaces.cli.errors import BadUsageError, CouldNotRunError, ExitCode, one_sentence
from netmesh_controller.surfaces.cli.expectations import expected, show_expected
from netmesh_controller.surfaces.cli.outputs import check_outputs, check_sizes, fitting, too_large, write_outputs
from netmesh_controller.surfaces.cli.sources import agent_source
from netmesh_controller.surfaces.reports.content import LARGE_MESH
from netmesh_controller.surfaces.reports.content import Source as Reported
from netmesh_controller.surfaces.reports.document import as_json
from netmesh_controller.surfaces.reports.formats import Choice, Wanted
from netmesh_controller.surfaces.terminal.closing import show_closing
from netmesh_controller.surfaces.terminal.estimate import show_estimate, show_remarks
from netmesh_controller.surfaces.terminal.progress import ProgressDisplay
from netmesh_controller.surfaces.terminal.run import show_run


def sweep(
    tests: Annotated[str | None, typer.Option(help="Tests, or all. [tcp-bandwidth,tcp-latency]")] = None,
    paths: Annotated[str | None, typer.Option(help="Paths, or all. [pod-to-pod]")] = None,
    tool: Annotated[
        str | None,
        typer.Option(help="iperf3, qperf, sockperf, stamp: each where the test can use it, in cells of its own."),
    ] = None,
    stamp: Annotated[
        bool | None,
        typer.Option("--stamp/--no-stamp", help="STAMP beside udp-latency's tools: the network's share. [yes]"),
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Time of a test, whole seconds. [5s]")] = None,
    omit: Annotated[
        str | None, typer.Option(help="Warm-up before it that is not counted (iperf3, stamp). [1s]")
    ] = None,
    interval: Annotated[str | None, typer.Option(help="Time between readings within a test. [0.1s]")] = None,
    congestion: Annotated[str | None, typer.Option(help="TCP congestion control. [the node's own]")] = None,
    streams: Annotated[str | None, typer.Option(help="Parallel streams of a bandwidth test, such as 1,4. [1]")] = None,
    message_sizes: Annotated[
        str | None, typer.Option(help="Sizes of messages, such as 64,1k,32k. [the tool's own]")
    ] = None,
    mss: Annotated[str | None, typer.Option(help="TCP segment sizes: 536,1460 or 536:1460:64. [the path's]")] = None,
    under_load: Annotated[
        bool | None, typer.Option("--under-load", help="Also measure latency while TCP fills the same pair's path.")
    ] = None,
    message_rate: Annotated[
        str | None,
        typer.Option(help="Messages, probes or connects a second. [sockperf and stamp 1000, tcp-connect 100]"),
    ] = None,
    bidirectional: Annotated[
        bool | None, typer.Option("--bidirectional", help="Measure bandwidth in both directions at once.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(help="Offered rate, such as 100M, or unlimited. [UDP 100M, TCP unlimited]")
    ] = None,
    repeat: Annotated[int | None, typer.Option(help="How often each cell is measured. [1]")] = None,
    nodes: Annotated[str | None, typer.Option(help="Only these nodes: node-1,node-2. [all]")] = None,
    zones: Annotated[str | None, typer.Option(help="Only nodes of these zones. [all]")] = None,
    selector: Annotated[
        str | None, typer.Option(help="Only nodes with these labels, as kubectl selects: 'disk=ssd,!gpu'. [all]")
    ] = None,
    exclude: Annotated[str | None, typer.Option(help="Not these nodes. [none]")] = None,
    include_control_plane: Annotated[
        bool | None,
        typer.Option("--include-control-plane", help="Bandwidth tests on control-plane nodes of a cluster too."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Repeat each cell until its 95 % interval is so narrow: 'ci < 2 %'.")
    ] = None,
    max_repeat: Annotated[int | None, typer.Option(help="Most repeats of a cell with --until. [10]")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Time that a sweep may take, such as 20m: as many rounds of pairs as fit.")
    ] = None,
    pairs: Annotated[str | None, typer.Option(help="all, sample:K, zones, or SOURCE:TARGET,… [all]")] = None,
    max_concurrent: Annotated[int | None, typer.Option(help="Most tests at one time. [no limit]")] = None,
    per_zone_pair: Annotated[
        int | None, typer.Option(help="Most tests at one time between two zones. [no limit]")
    ] = None,
    family: Annotated[str | None, typer.Option(help="IP version: 4, 6 or both. [4]")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="A target outside: [PATH:]NAME=ADDRESS:PORT, for tcp-connect or stamp.")
    ] = None,
    max_rate: Annotated[str | None, typer.Option(help="Most that any test offers, such as 1G. [no limit]")] = None,
    max_traffic: Annotated[
        str | None, typer.Option(help="Refuse a plan that may send more than this, such as 10G. [no limit]")
    ] = None,
    pause_if: Annotated[
        str | None, typer.Option(help="Start no test on a node while this holds, such as 'cpu > 80 %'.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="YAML file of these options; the command line goes first.")] = None,
    lab: Annotated[str | None, typer.Option(help="A lab: N nodes, a lab file, or the name of one that is up.")] = None,
    agents: Annotated[str | None, typer.Option(help="Agents: a YAML file, or HOST:PORT,…")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder with the controller's ca.crt, tls.crt, tls.key (with --agents).")
    ] = None,
    controller: Annotated[
        str | None, typer.Option(metavar="URL", help="A controller that stays measures; NETMESH_TOKEN is its token.")
    ] = None,
    history: Annotated[
        str | None, typer.Option(metavar="RUN,RUN,RUN", help="Earlier runs: what has become worse is found.")
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Measure what is missing of a run.")] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="'TEST[.VALUE].STATISTIC[@PATH] OP NUMBER UNIT' must hold in every cell."),
    ] = None,
    expect_file: Annotated[Path | None, typer.Option(help="A file of such expectations, one a line.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also write a file: .html, .png, .svg, .csv, .json, .yaml, .jsonl.zst, or .xml (JUnit of --expect). "
            "May be given several times."
        ),
    ] = None,
    output_format: Annotated[
        Literal["terminal", "json"],
        typer.Option("--format", help="json writes the document alone on stdout."),
    ] = "terminal",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the estimate and stop.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Measures every ordered pair of nodes, planned so that tests do not disturb each other."""
    options = {
        "tests": tests,
        "paths": paths,
        "tool": tool,
        "stamp": stamp,
        "duration": duration,
        "omit": omit,
        "interval": interval,
        "congestion": congestion,
        "streams": streams,
        "bidirectional": bidirectional,
        "rate": rate,
        "repeat": repeat,
        "nodes": nodes,
        "zones": zones,
        "selector": selector,
        "exclude": exclude,
        "include_control_plane": include_control_plane,
        "until": until,
        "max_repeat": max_repeat,
        "budget": budget,
        "pairs": pairs,
        "max_concurrent": max_concurrent,
        "per_zone_pair": per_zone_pair,
        "family": family,
        "message_sizes": message_sizes,
        "mss": mss,
        "under_load": under_load,
        "message_rate": message_rate,
        "targets": target or None,
        "max_rate": max_rate,
        "max_traffic": max_traffic,
        "pause_if": pause_if,
    }
    given = {key: value for key, value in options.items() if value is not None}
    logs.set_up("info" if verbose else "error")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    with one_sentence():
        check_outputs(output or ())
        expectations = expected(expect, expect_file)
        if controller is not None and not (lab is None and agents is None):
            raise BadUsageError("--controller: the agents are that controller's; leave --lab and --agents out")
        named = _named(history)
        stored = asyncio.run(_stored(resume)) if resume is not None and controller is None else None
        if stored is None and lab is None and agents is None:
            asked = _asked(given, plan, None)
            ask_from(asked)
            command = _Command(asked, None, name, tuple(output or ()), output_format == "json", dry_run, expectations)
            raise typer.Exit(asyncio.run(command.run_there(controller, resume, named)))
        earlier = asyncio.run(_earlier(named)) if named else []
        asked = _asked(given, plan, stored)
        # What is wrong is told before a lab is built.
        ask_from(asked)
        if not dry_run:
            asyncio.run(_check_store())
        if stored is not None and lab is None and agents is None:
            source_names = stored.run.facts.get("source", {})
            lab, agents = source_names.get("lab"), source_names.get("agents")
            if certificates is None and "certificates" in source_names:
                certificates = Path(source_names["certificates"])
        command = _Command(
            asked, stored, name, tuple(output or ()), output_format == "json", dry_run, expectations, earlier
        )
        with agent_source(lab, agents, certificates) as source:
            code = asyncio.run(command.run(source))
    raise typer.Exit(code)


def _named(history: str | None) -> list[str]:
    """The earlier runs that are named; BadUsageError where they are too few to tell how far runs differ."""
    if history is None:
        return []
    named = list(dict.fromkeys(reference.strip() for reference in history.split(",")))
    if len(named) < LEAST_RUNS:
        raise BadUsageError(f"--history: it takes at least {LEAST_RUNS} earlier runs to know how far runs differ")
    return named


async def _earlier(named: Sequence[str]) -> list[str]:
    """The ids of earlier runs of this machine's store; those of files are put into it first."""
    store = await open_store()
    try:
        ids = list(dict.fromkeys([await stored_id(store, reference) for reference in named]))
    finally:
        await store.close()
    if 0 < len(ids) < LEAST_RUNS:
        raise BadUsageError(f"--history: {', '.join(named)} are {len(ids)} runs; it takes at least {LEAST_RUNS}")
    return ids


async def _check_store() -> None:
    await (await open_store()).close()


async def _stored(reference: str) -> StoredRun | None:
    """The run in this machine's store; None where it is not, and may be in the cluster's."""
    store = await open_store()
    try:
        return await stored_run(store, reference)
    except RunNotFoundError:
        if not may_have_cluster():
            raise
        return None
    finally:
        await store.close()


def _asked(given: Mapping[str, Any], plan: Path | None, stored: StoredRun | None) -> dict[str, Any]:
    """What is asked for: the command line's options before the plan file's."""
    if stored is not None:
        if given or plan is not None:
            wrong = f"--{next(iter(given)).replace('_', '-')}" if given else "--plan"
            raise BadUsageError(f"{wrong}: --resume goes on with what the run was asked for; leave it out")
        return dict(stored.run.plan.asked)
    from_file: dict[str, Any] = {}
    if plan is not None:
        try:
            content = loaded(plan.read_text())
        except OSError as error:
            raise BadUsageError(f"--plan: {plan} cannot be read: {error.strerror}") from error
        except (YamlTextError, UnicodeDecodeError) as error:
            raise BadUsageError(f"--plan: {plan} is not YAML: {error}") from error
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise BadUsageError(f"--plan: {plan} is a mapping of the sweep's options, such as 'duration: 10s'")
        from_file = {key.replace("-", "_"): value for key, value in content.items()}
    return {**from_file, **given}


@dataclass(frozen=True, slots=True)
class _Command:
    """One call of the command, after its options are read."""

    asked: dict[str, Any]
    stored: StoredRun | None
    name: str | None
    outputs: tuple[Path, ...]
    json: bool
    dry_run: bool
    expectations: tuple[str, ...]
    history: Sequence[str] = ()

    async def run(self, source: Source) -> ExitCode:
        async with source.running():
            return await self._run(source)

    async def _run(self, source: Source) -> ExitCode:
        # With --format json the document alone is on stdout; people are told on stderr.
        console = Console(stderr=self.json)
        ask = ask_from(self.asked)
        await source.refresh()
        found = await survey(
            await source.locate(),
            source.certificates,
            selection=ask.selection,
            presence=source.presence(),
            maker=source.maker(),
        )
        try:
            if not found.agents:
                said = runs.unreachable_reason(found.unreachable)
                if all(reason.code == "refused" for reason in found.unreachable.values()):
                    raise BadUsageError(f"--certificates: no agent takes them: {said}")
                raise CouldNotRunError(f"no agent answered: {said}")
            if self.stored is None:
                prepared = runs.prepare(
                    ask, self.asked, found, name=self.name, facts={**source.facts, "source": source.recorded}
                )
            else:
                prepared = runs.prepare_resume(self.stored, ask, found)
            if self.history:
                # The run keeps their ids: where it is resumed, they are compared with again.
                prepared.run.facts[runs.HISTORY] = list(self.history)
            show_remarks(console, found.remarks)
            show_estimate(console, outline_of(prepared.todo))
            check_sizes(self.outputs, runs.cell_count(prepared.whole))
            if self.dry_run:
                return ExitCode.COMPLETE
            store = await open_store()
            try:
                return await self._sweep(prepared, store, console)
            finally:
                await store.close()
        finally:
            await found.close()

    async def run_there(self, controller: str | None, resume: str | None, history: Sequence[str]) -> ExitCode:
        """The same at a controller that stays; earlier runs are those of its store."""
        console = Console(stderr=self.json)
        request: dict[str, Any] = {"options": self.asked, "name": self.name, "dry_run": self.dry_run}
        if history:
            request["history"] = list(history)
        if resume is not None:
            if self.asked or self.name is not None or self.dry_run or history:
                raise BadUsageError("--resume goes on with what the run was asked for; leave the other options out")
            request = {"resume": resume}
        # Only here: HTTP takes a third of a second to import.
        from netmesh_controller.surfaces.cli.remote import sweep_there  # noqa: PLC0415

        async with controller_at(controller) as client:
            ended = await sweep_there(client, request, console)
        if ended is None:
            return ExitCode.COMPLETE
        wanted = Wanted.of(ended.document, Choice(expectations=self.expectations))
        outputs, renamed = fitting(self.outputs, len(ended.document.cells))
        write_outputs(wanted, outputs)
        held = self._show(wanted, console, outputs, renamed, planned=ended.planned)
        return _code(ended.document.run, held=held, interrupted=ended.interrupted)

    async def _sweep(self, prepared: runs.Prepared, store: Store, console: Console) -> ExitCode:
        await runs.begin(prepared, store)
        steady()
        give_back_large_arrays()
        interrupted = False
        live = ProgressDisplay(console)

        def on_cell(cell: Cell) -> None:
            if cell.outcome != "measured":
                live.failed(cell)

        engine = runs.sweep_of(prepared, store, on_cell)
        work = asyncio.create_task(engine.run(), name="sweep")

        def interrupt() -> None:
            nonlocal interrupted
            if interrupted:
                # The second time works at once; agents end what they run when the streams break.
                raise SystemExit(ExitCode.INTERRUPTED)
            interrupted = True
            work.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        with live:
            ticker = asyncio.create_task(_show(engine, live))
            try:
                await asyncio.wait([work])
            finally:
                await cancelled(ticker)
            live.update(engine.progress())
        if not interrupted and work.exception() is not None:
            await runs.finish(prepared, store, interrupted="failed")
            work.result()
        ended = await runs.finish(prepared, store, interrupted="cancelled" if interrupted else None)
        cells = sum(ended.outcomes.values())
        # A plan's repeats can become more as it runs.
        outputs, renamed = fitting(self.outputs, cells)
        wanted = await self._wanted(ended, store, large=cells > MOST_CELLS_OF_A_DOCUMENT)
        as_lines = [path for path in outputs if path.name.endswith(LINES)]
        for path in as_lines:
            await export_run(store, ended.run.id, path)
        write_outputs(wanted, [path for path in outputs if path not in as_lines])
        held = self._show(wanted, console, outputs, renamed, planned=runs.cell_count(prepared.whole))
        return _code(ended.run, held=held, interrupted=interrupted)

    async def _wanted(self, ended: runs.Ended, store: Store, *, large: bool) -> Wanted:
        """What is shown of the run: of a large mesh, as `report` does, its means and reasons without a cell."""
        choice = Choice(expectations=self.expectations)
        source = Reported(ended.run, ended.nodes, ended.findings, ended.tables, (), ended.outcomes)
        if large and len(ended.nodes) > LARGE_MESH and not self.json and not self.expectations:
            return Wanted(source, too_large, choice)
        return Wanted.of_source(replace(source, cells=(await store.load(ended.run.id)).cells), choice)

    def _show(
        self, wanted: Wanted, console: Console, outputs: Sequence[Path], renamed: Sequence[str], *, planned: int
    ) -> bool:
        """Whether what is expected holds."""
        if self.json:
            for part in as_json(wanted.whole()):
                typer.echo(part, nl=False)
        source = wanted.source
        if not self.json:
            show_run(console, source.nodes, source.tables, source.cells, source.findings, chosen=wanted.tables)
        held = show_expected(console, wanted)
        written = ", ".join(map(str, outputs)) or None
        show_closing(console, source.run, source.cells, planned, written, outcomes=source.outcomes)
        for sentence in renamed:
            console.print(sentence, highlight=False, soft_wrap=True)
        return held


def _code(run: Run, *, held: bool, interrupted: bool) -> ExitCode:
    if interrupted:
        return ExitCode.INTERRUPTED
    if not held:
        return ExitCode.FAILED
    return ExitCode.COMPLETE if run.state == "complete" else ExitCode.GAPS


async def _show(engine: Sweep, live: ProgressDisplay) -> None:
    while True:
        live.update(engine.progress())
        await asyncio.sleep(live.every_seconds)
