"""However many tasks want to do something, each pass of the event loop lets a few of them; who asks comes first."""

import asyncio

import pytest

from netmesh_controller.clients import turns
from netmesh_controller.clients.turns import AT_ONCE, EACH_PASS, Turns, before_agents, my_turn, unhurried


async def test_a_pass_lets_few_go_on_in_their_order_and_none_is_forgotten() -> None:
    passes: list[list[int]] = [[]]

    def count() -> None:
        passes.append([])
        if len(passes) < 200:
            asyncio.get_running_loop().call_soon(count)

    async def one(number: int) -> None:
        await my_turn()
        passes[-1].append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(100)]
    asyncio.get_running_loop().call_soon(count)
    # One that goes away while it waits holds nobody up.
    await asyncio.sleep(0)
    gone = tasks.pop(60)
    gone.cancel()
    await asyncio.gather(*tasks)
    assert max(map(len, passes)) <= EACH_PASS
    went = [number for each in passes for number in each]
    assert went == [*range(60), *range(61, 100)], "first come, first served"
    # None waited longer than it had to: of the passes between the first and the last each has as many as may be.
    busy = [len(each) for each in passes if each]
    assert len(busy) <= len(went) // EACH_PASS + 2


async def test_who_is_alone_does_not_wait() -> None:
    for _ in range(3):
        for _ in range(EACH_PASS):
            waiting = my_turn()
            try:
                waiting.send(None)
            except StopIteration:
                continue
            raise AssertionError("it waits though nobody else does")
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def _passes(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_nobody_has_a_turn_while_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_SECONDS", 60)  # however slow the machine is
    went: list[int] = []

    async def one(number: int) -> None:
        await my_turn()
        went.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(6)]
    await asyncio.sleep(0)
    before = len(went)
    assert before <= EACH_PASS
    with before_agents():
        await _passes()
        # Those whose turn had come already go on.
        assert len(went) <= before + EACH_PASS
        held = len(went)
        with before_agents():
            tasks.append(asyncio.create_task(one(6)))
            await _passes()
        await _passes()
        assert len(went) == held, "one who asks is still there"
    await asyncio.gather(*tasks)
    assert went == list(range(7))


async def test_who_asks_for_long_is_before_agents_only_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of events lasts as long as its sweep."""
    monkeypatch.setattr(turns, "MOST_SECONDS", 0.02)
    one = Turns()
    with one.before():
        await asyncio.wait_for(one.mine(), 10)
        for _ in range(50):
            waiting = one.mine()
            try:
                waiting.send(None)
            except StopIteration:
                await _passes(3)
                continue
            raise AssertionError("it waits though the request had its time")


async def test_requests_without_a_gap_leave_agents_a_quarter_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_SECONDS", 0.02)
    now = 0.0
    one = Turns(clock=lambda: now)

    def goes_on() -> asyncio.Task[None]:
        return asyncio.create_task(one.mine())

    with one.before():
        task = goes_on()
        now = 0.02
        await asyncio.wait_for(task, 10)
        await asyncio.wait_for(goes_on(), 10)
        monkeypatch.setattr(turns, "MOST_SECONDS", 60)
        # A third of the time that they have waited agents go on, whoever asks; then they wait again.
        now = 0.026
        with one.before():
            await asyncio.wait_for(goes_on(), 10)
            now = 0.027
            await _passes()
            task = goes_on()
            await _passes()
            assert not task.done()
    await asyncio.wait_for(task, 10)


async def test_many_items_are_no_single_pass() -> None:
    passes = 0

    def count() -> None:
        nonlocal passes
        passes += 1
        asyncio.get_running_loop().call_soon(count)

    count()
    told = [item async for item in unhurried(range(5 * AT_ONCE))]
    assert told == list(range(5 * AT_ONCE))
    assert passes >= 5
