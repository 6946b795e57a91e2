"""What many tasks want to do at once is done a little in each pass of the event loop.

A pass runs all that is ready. Where a thousand agents answer at the same moment that is seconds of work, and whoever
asks the controller something meanwhile waits for it several times: a request takes some passes. With turns a pass is
some milliseconds, and what waits is the agents' answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

# Each does some half a millisecond of work.
EACH_PASS = 8


class Turns:
    """Lets so many tasks go on in each pass of the running loop, first come, first served."""

    def __init__(self, each_pass: int = EACH_PASS) -> None:
        self._each_pass = self._left = each_pass
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passing = False

    async def mine(self) -> None:
        """Returns when it is the caller's turn: at once where few others want to go on."""
        loop = asyncio.get_running_loop()
        if not self._passing:
            self._passing = True
            loop.call_soon(self._pass)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _pass(self) -> None:
        self._left = self._each_pass
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                self._left -= 1
        self._passing = self._left < self._each_pass
        if self._passing:
            asyncio.get_running_loop().call_soon(self._pass)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


async def my_turn() -> None:
    """The turn of who has to do with an agent: see `Turns`."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns()
    await turns.mine()
