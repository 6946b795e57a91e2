"""However many tasks want to go on at once, each pass of the event loop lets a few of them."""

import asyncio

from netmesh_controller.clients.turns import EACH_PASS, my_turn


async def test_a_pass_lets_few_go_on_in_their_order_and_none_is_forgotten() -> None:
    passes: list[list[int]] = [[]]

    def count() -> None:
        passes.append([])
        if len(passes) < 200:
            asyncio.get_running_loop().call_soon(count)

    async def one(number: int) -> None:
        await my_turn()
        passes[-1].append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(300)]
    asyncio.get_running_loop().call_soon(count)
    # One that goes away while it waits holds nobody up.
    await asyncio.sleep(0)
    gone = tasks.pop(200)
    gone.cancel()
    await asyncio.gather(*tasks)
    assert max(map(len, passes)) <= EACH_PASS
    went = [number for each in passes for number in each]
    assert went == [*range(200), *range(201, 300)], "first come, first served"
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
