"""The end of a sweep played through: which of several ways to start leads to the shortest rest.

Starting whoever has most to do is near the best while there is much to do. Near the end, and from the start in a
small mesh, it can leave three nodes that all need each other, and of three only two can work at a time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from netmesh_controller.mesh.board import Board

_WAYS = 8


def best_start(board: Board, waiting: Sequence[int], most: int, cap: int) -> list[int]:
    """What should start now, at most `most` measurements and `cap` at once later; empty where there is no choice.

    `waiting` is all that waits, and should be no more than some hundreds: each way is played to the end with the
    times that are expected.
    """
    ways = _ways(board, waiting, most)
    if len(ways) < 2:
        return []
    small, number = _reduced(board, waiting)
    return list(min(ways, key=lambda way: _rest(small.copy(), [number[index] for index in way], cap)))


def _ways(board: Board, waiting: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Some ways to start that leave no startable pair idle, the usual rule's own first."""
    usual = list(board.matches(board.free, board.fresh))
    if not usual:
        return []
    # By what waits and not by pairs of free nodes: of a thousand nodes most are idle near the end.
    startable = [index for index in waiting if board.could_start(index)]
    startable.sort(key=lambda index: (-board.work[board.first[index]] - board.work[board.second[index]], index))
    # Not a secret; the same board always decides the same.
    dice = random.Random(len(startable))  # noqa: S311
    found = {tuple(sorted(usual[:most])): None}
    for attempt in range(2 * _WAYS):
        if attempt < len(startable):
            order = [startable[attempt], *startable]
        else:
            order = startable[:]
            dice.shuffle(order)
        found[tuple(sorted(_maximal(board, order)[:most]))] = None
        if len(found) == _WAYS:
            break
    return list(found)


def _maximal(board: Board, order: Sequence[int]) -> list[int]:
    taken: set[int] = set()
    chosen = []
    for index in order:
        nodes = {board.first[index], board.second[index]}
        if not nodes & taken:
            taken |= nodes
            chosen.append(index)
    return chosen


def _reduced(board: Board, waiting: Sequence[int]) -> tuple[Board, dict[int, int]]:
    """A board of what is left only, so that copies are cheap; and its numbers of the measurements."""
    left = [*waiting, *board.expected_end]
    nodes = sorted({node for index in left for node in (board.first[index], board.second[index])})
    place = {node: position for position, node in enumerate(nodes)}
    ends = [(place[board.first[index]], place[board.second[index]]) for index in left]
    small = Board(len(nodes), ends, [board.seconds[index] for index in left])
    small.now = board.now
    # Put in reverse: what is put last comes first.
    for position in reversed(range(len(waiting))):
        small.put(position)
    for position in range(len(waiting), len(left)):
        small.run(position, max(board.now, board.expected_end[left[position]]))
    return small, {index: position for position, index in enumerate(left)}


def _rest(board: Board, way: Sequence[int], cap: int) -> float:
    """How long the rest takes when it begins in this way."""
    for index in way:
        board.begin(index)
    board.start(cap - len(board.expected_end))
    running = [(end, index) for index, end in board.expected_end.items()]
    heapq.heapify(running)
    while running:
        _, index = heapq.heappop(running)
        board.end(index)
        for started in board.start(cap - len(board.expected_end)):
            heapq.heappush(running, (board.expected_end[started], started))
    return board.now
