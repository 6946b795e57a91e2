"""What many tasks want to do at once is done a little in each pass of the event loop, and after who asks.

A pass runs all that is ready. Where a thousand agents answer at the same moment that is seconds of work, and whoever
asks the controller something meanwhile waits for it several times: a request takes some passes. With turns a pass is
a millisecond or two, and what waits is the agents' answers. While a request is under way they wait altogether: what
reads the store for it is a thread, which would wait for the interpreter at each of its steps.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakKeyDictionary

# Each does some half a millisecond of work.
EACH_PASS = 2
# A request comes before the agents for so long only, since a stream lasts for hours; and where there is always one more
# agents have a third of the time that they have waited.
MOST_SECONDS = 0.1
_SHARE = 1 / 3
AT_ONCE = 20

Item = TypeVar("Item")


class Turns:
    """Lets so many tasks go on in each pass of the running loop, first come, first served."""

    def __init__(self, each_pass: int = EACH_PASS, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_pass = self._left = each_pass
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passing = False
        self._asking: set[object] = set()
        self._since: float | None = None  # since when all wait for who asks
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def mine(self) -> None:
        """Returns when it is the caller's turn: at once where few others want to go on."""
        loop = asyncio.get_running_loop()
        self._hold()
        if self._since is None:
            self._pass_soon()
            if self._left and not self._waiting:
                self._left -= 1
                return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    @contextmanager
    def before(self) -> Iterator[None]:
        """Nobody's turn comes while the block runs, for `MOST_SECONDS` at most.

        Where others ask on, turns come for a third of the time that all have waited, whoever asks meanwhile.
        """
        who = object()
        self._asking.add(who)
        self._hold()
        timer = asyncio.get_running_loop().call_later(MOST_SECONDS, self._has_asked, who)
        try:
            yield
        finally:
            timer.cancel()
            self._has_asked(who)

    def _has_asked(self, who: object) -> None:
        self._asking.discard(who)
        if not self._asking:
            self._go_on()

    def _hold(self) -> None:
        now = self._clock()
        if self._asking and self._since is None and now >= self._not_before:
            self._since = now
            self._timer = asyncio.get_running_loop().call_later(MOST_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if self._since is None:
            return
        now = self._clock()
        self._not_before = now + (now - self._since) * _SHARE
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            self._pass_soon()

    def _pass_soon(self) -> None:
        if not self._passing:
            self._passing = True
            asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        self._passing = False
        self._left = self._each_pass
        self._hold()
        if self._since is not None:
            return
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                self._left -= 1
        if self._left < self._each_pass:
            self._pass_soon()


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def _of_loop() -> Turns:
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns()
    return turns


async def my_turn() -> None:
    """The turn of who has to do with an agent: see `Turns`."""
    await _of_loop().mine()


@contextmanager
def before_agents() -> Iterator[None]:
    """For who asks the controller something: see `Turns.before`."""
    with _of_loop().before():
        yield


async def unhurried(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items, each some hundredths of a millisecond of work; the loop goes on after every `AT_ONCE` of them."""
    for number, item in enumerate(items, 1):
        yield item
        if not number % AT_ONCE:
            await asyncio.sleep(0)
