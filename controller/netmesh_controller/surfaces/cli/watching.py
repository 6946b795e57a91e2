"""The loop of `monitor`: asks the controller, draws or writes, listens to keys."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rich.console import Console, Group
from rich.live import Live

from netmesh_controller.clients.controller import ControllerClient, ControllerError
from netmesh_controller.surfaces.terminal.watch import lines
from netmesh_controller.surfaces.terminal.watch.bandwidths import Bandwidths, bandwidths_of
from netmesh_controller.surfaces.terminal.watch.picture import Screen, picture
from netmesh_controller.surfaces.terminal.watch.seen import Seen, moment, same_window, seen

WindowName = Literal["10s", "1m", "10m", "1h"]
_STATISTICS = ("p50", "max", "min", "loss", "bandwidth")
_WINDOWS: tuple[WindowName, ...] = get_args(WindowName)
_DRAW_SECONDS = 1.0
_CALL_SECONDS = 20.0
# Windows end between two questions now and then.
_TRIES = 3
_LATELY_SECONDS = 3600.0
_PAGE = 100
# A pair is tested in the background once in seconds at most, and a million of them take a while to tell of.
_TESTED_SECONDS = 15.0


@dataclass(slots=True)
class Wanted:
    """What `monitor` is asked for; keys change `statistic` and `window`."""

    statistic: str
    window: WindowName
    every_seconds: float
    for_seconds: float | None
    as_json: bool


async def watch(client: ControllerClient, wanted: Wanted, where: str) -> bool:
    """Watches until it is told to end; whether it was interrupted.

    ControllerError where the controller cannot be asked at all: at the first question, or by a refusal that does not
    pass. One that is away later is waited for.
    """
    console = Console()
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    interrupted: list[int] = []

    def signalled(number: int) -> None:
        interrupted.append(number)
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled, number)
    screen = Screen(where, wanted.statistic)
    drawn = console.is_interactive and not wanted.as_json
    watching = _Watching(client, wanted, screen, None if drawn else console)
    if wanted.for_seconds is not None:
        loop.call_later(wanted.for_seconds, end.set)
    if drawn:
        with (
            Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live,
            _keys(lambda key: _pressed(key, watching, end)),
        ):
            await asyncio.gather(watching.run(end), _draw(live, console, watching, end))
    else:
        await watching.run(end)
    return bool(interrupted)


def _pressed(key: str, watching: _Watching, end: asyncio.Event) -> None:
    wanted, screen = watching.wanted, watching.screen
    match key:
        case "q" | "Q":
            end.set()
        case "s":
            there = _STATISTICS if screen.tested is not None else _STATISTICS[:-1]
            at = there.index(wanted.statistic) if wanted.statistic in there else -1
            wanted.statistic = there[(at + 1) % len(there)]
        case "w":
            wanted.window = _WINDOWS[(_WINDOWS.index(wanted.window) + 1) % len(_WINDOWS)]
        case "?":
            screen.gaps = not screen.gaps
        case _:
            return
    watching.at_once.set()


async def _draw(live: Live, console: Console, watching: _Watching, end: asyncio.Event) -> None:
    while not end.is_set():
        shown = picture(watching.screen, console.width, console.height, time.time())
        live.update(Group(*shown), refresh=True)
        await _either(watching.changed, end, _DRAW_SECONDS)
        watching.changed.clear()


class _Watching:
    """Asks again and again; `console` is where lines go, None where a screen is drawn."""

    def __init__(self, client: ControllerClient, wanted: Wanted, screen: Screen, console: Console | None) -> None:
        self._client = client
        self.wanted = wanted
        self.screen = screen
        self._console = console
        self.at_once = asyncio.Event()
        self.changed = asyncio.Event()
        self._told: dict[str, str] = {}
        self._begun = False
        self._last = 0.0
        self._tested_until = 0.0

    async def run(self, end: asyncio.Event) -> None:
        try:
            while not end.is_set():
                asking = asyncio.ensure_future(self._ask())
                ending = asyncio.ensure_future(end.wait())
                try:
                    await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
                    if not asking.done():
                        return
                    asking.result()
                finally:
                    asking.cancel()
                    ending.cancel()
                    await asyncio.gather(asking, ending, return_exceptions=True)
                self.changed.set()
                await _either(self.at_once, end, self.wanted.every_seconds)
                self.at_once.clear()
        finally:
            end.set()

    async def _ask(self) -> None:
        try:
            now = await self._mesh()
            opened, closed = await self._events()
            checks = await self._checks()
            bandwidths = await self._tested()
        except ControllerError as error:
            if not error.is_passing or (self.screen.answered == 0.0 and error.status == 0):
                raise
            self._failed(error)
            return
        screen = self.screen
        screen.away, screen.answered, screen.seen = "", time.time(), now
        screen.shown, screen.events, screen.closed, screen.checks = self.wanted.statistic, opened, closed, checks
        screen.tested = bandwidths
        self._write(now, opened, closed)

    def _failed(self, error: ControllerError) -> None:
        if error.code == "no_window":
            # It answers, and has nothing to tell yet: what was seen before was another term's.
            self.screen.answered, self.screen.away, self.screen.seen = time.time(), "", None
            self.screen.waiting = "The first window of the continuous probe ends in some seconds."
            return
        if error.code == "not_monitoring":
            raise error
        if not self.screen.away and self._console is not None:
            self._say(lines.away(time.time(), str(error), as_json=self.wanted.as_json))
        self.screen.away = str(error)

    async def _mesh(self) -> Seen:
        """The window that is wanted, its times and its losses."""
        wanted = self.wanted
        time_of = "p50" if wanted.statistic in ("loss", "bandwidth") else wanted.statistic
        for _ in range(_TRIES):
            times, losses = await asyncio.gather(
                *(
                    self._client.call(
                        "GET", "mesh", query={"statistic": name, "window": wanted.window}, seconds=_CALL_SECONDS
                    )
                    for name in (time_of, "loss")
                )
            )
            if same_window(times, losses):
                return await asyncio.to_thread(seen, times, losses)
        raise ControllerError("the mesh changed between two questions; it is asked again")

    async def _events(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Those that are open, and those that closed lately, the latest first."""
        answers = await asyncio.gather(
            *(
                self._client.call("GET", "events", query={"state": state, "limit": str(_PAGE)}, seconds=_CALL_SECONDS)
                for state in ("open", "closed")
            )
        )
        opened, closed = (answer["events"] for answer in answers)
        lately = time.time() - _LATELY_SECONDS
        recent = [event for event in closed if moment(event["closed_at"]) >= lately]
        return opened, sorted(recent, key=lambda event: str(event["closed_at"]), reverse=True)

    async def _checks(self) -> list[dict[str, Any]]:
        """What became of the checks beside the probe, in the window that is wanted."""
        answer = await self._client.call("GET", "checks", query={"window": self.wanted.window}, seconds=_CALL_SECONDS)
        found: list[dict[str, Any]] = answer["checks"]
        return found

    async def _tested(self) -> Bandwidths | None:
        """Bandwidth in the background; None where there is none."""
        now = time.monotonic()
        if now < self._tested_until:
            return self.screen.tested
        query = {"test": "tcp-bandwidth"}
        try:
            answer = await self._client.call("GET", "mesh", query=query, seconds=_CALL_SECONDS)
        except ControllerError as error:
            if error.code not in ("no_background", "no_window"):
                raise
            return None
        self._tested_until = now + _TESTED_SECONDS
        return await asyncio.to_thread(bandwidths_of, answer, time.time())

    def _write(self, now: Seen, opened: list[dict[str, Any]], closed: list[dict[str, Any]]) -> None:
        if self._console is None:
            return
        as_json = self.wanted.as_json
        for event in (*closed, *opened):
            what = "closed" if event["closed_at"] else "changed" if event["changed_at"] else "opened"
            state = f"{what} {event['changed_at']}"
            known = self._told.get(event["id"])
            self._told[event["id"]] = state
            # What had closed before it began to watch is no news.
            if known != state and (self._begun or what != "closed"):
                self._say(lines.event_as_json(event, what) if as_json else lines.event_in_words(event, what))
        self._begun = True
        if now.ended != self._last:
            self._last = now.ended
            write = lines.window_as_json if as_json else lines.window_in_words
            self._say(write(now, len(opened), self.screen.checks, self.screen.tested))

    def _say(self, line: str) -> None:
        print(line, flush=True)  # the command's answer


async def _either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    """Waits for one of them, so long at most."""
    waiting = [asyncio.ensure_future(one.wait()) for one in (first, second)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@contextmanager
def _keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Tells of each key while the context lasts; the terminal is left as it was."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)

    def read() -> None:
        for key in os.read(descriptor, 64).decode(errors="replace"):
            pressed(key)

    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
