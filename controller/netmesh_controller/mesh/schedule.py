"""Which measurement starts when: a state machine without clock and I/O.

A node takes part in one measurement at a time, and a pair of free nodes with something waiting never idles: there
are no rounds to wait for. Local cells, which need one node, fill the gaps. What starts is decided by `board`
(who has most to do first) and, for the last measurements, by `lookahead`.

Sweep time over the lower bound in simulation, all pairs and local cells, tests of 6.05 and 5.05 s that take up to
2 % more or less than expected (mean and worst of 8 sweeps, one for 33 and more; the bound is of the true times):

  nodes          2, 3   4      5      6      7      8      9      10     12     14     16     20     33     50     100
  jitter only    1.000  1.001  1.006  1.017  1.017  1.002  1.022  1.022  1.029  1.035  1.031  1.028  1.027  1.030  1.014
    worst        1.000  1.003  1.011  1.021  1.033  1.003  1.031  1.040  1.047  1.050  1.038  1.038
  2 % take 3 x   1.000  1.001  1.011  1.013  1.023  1.013  1.034  1.019  1.015  1.022  1.013  1.016  1.006  1.011  1.006
    worst        1.000  1.002  1.045  1.029  1.059  1.049  1.076  1.043  1.046  1.034  1.024  1.035

Sampled pairs leave a node few partners, so that the end weighs more: 1.07 to 1.24 for sample:3 to sample:8.
What did worse: following fixed rounds of matchings whenever the next of a round is free (1.09 to 1.30 for 6 to 20
nodes: stragglers and jitter break the rounds up); keeping a pair together at any price (1.08 to 1.27); starting
local cells whenever a node is idle (1.05 to 1.09: they make their node late for a partner that is about to be free);
deciding without the lookahead (1.03 to 1.05). More ways, longer lookahead or several guesses a way bring nothing
that can be told from chance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from netmesh_controller.mesh import lookahead
from netmesh_controller.mesh.board import Board
from netmesh_controller.mesh.plan import Measurement
from netmesh_controller.mesh.zonecaps import ZoneCaps

# From so few waiting measurements on, the rest is played through before a choice.
LOOKAHEAD_FROM = 200

_WAITING, _RUNNING, _SETTLED = 0, 1, 2


class Schedule:
    """The measurements of a plan (`measurements[i].index` is i), at most `max_concurrent` of them at once.

    With `per_zone_pair`, at most so many of them run between two zones, either way; `zones` go by node.

    Each is started once, unless it is requeued or restored. Methods raise ValueError where a measurement is not in
    the state that they need.
    """

    def __init__(
        self,
        measurements: Sequence[Measurement],
        max_concurrent: int | None = None,
        *,
        per_zone_pair: int | None = None,
        zones: Mapping[str, str | None] | None = None,
    ) -> None:
        self._measurements = list(measurements)
        self._number: dict[str, int] = {}
        for one in measurements:
            for node in one.nodes:
                self._number.setdefault(node, len(self._number))
        # What one node measures alone has both of its ends there.
        ends = [(self._number[one.nodes[0]], self._number[one.nodes[-1]]) for one in measurements]
        caps = None
        if per_zone_pair is not None:
            caps = ZoneCaps([(zones or {}).get(node) for node in self._number], per_zone_pair)
        self._board = Board(len(self._number), ends, [one.seconds for one in measurements], caps)
        self._most = len(self._number) if max_concurrent is None else max_concurrent
        self._state = bytearray([_WAITING]) * len(measurements)
        self._waiting = len(measurements)
        self._waiting_seconds = sum(one.seconds for one in measurements)
        # What was answered for a running measurement by `ahead`, and the way back.
        self._promised: dict[int, int] = {}
        self._promised_by: dict[int, int] = {}
        self._promised_nodes: set[int] = set()
        # Running ones with a promise that have ended since the last start.
        self._ended: list[int] = []
        for index in reversed(range(len(measurements))):
            self._board.put(index)

    @property
    def waiting(self) -> Collection[Measurement]:
        """What waits, in the plan's order; its length is known without counting."""
        return _Waiting(self._measurements, self._state, self._waiting)

    @property
    def waiting_seconds(self) -> float:
        """What waits takes so long, one after the other."""
        return max(0.0, self._waiting_seconds)

    @property
    def running(self) -> tuple[Measurement, ...]:
        """What runs."""
        return tuple(self._measurements[index] for index in self._board.expected_end)

    @property
    def done(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._waiting and not self._board.expected_end

    def start(self) -> list[Measurement]:
        """All that should start now; it counts as running from here on."""
        board, room = self._board, self._room
        started: list[int] = []
        # Under a cap that leaves nodes over, who is free matters less than the cap.
        capped = self._most < len(self._number) // 2 or board.caps is not None
        if board.fresh and room > 0 and self._waiting <= LOOKAHEAD_FROM and not capped:
            waiting = [one.index for one in self.waiting]
            started = lookahead.best_start(board, waiting, room, self._most)
            for index in started:
                board.begin(index)
        started += board.start(room - len(started), self._promised_by)
        for index in started:
            self._state[index] = _RUNNING
            self._waiting_seconds -= self._measurements[index].seconds
        self._waiting -= len(started)
        # A promise is kept or broken when the measurement that it was made for has ended.
        for index in self._ended:
            if self._state[index] != _RUNNING:
                self._break_promise(index)
        self._ended.clear()
        return [self._measurements[index] for index in started]

    def finish(self, index: int) -> None:
        """A running measurement came to its end, whatever it was."""
        self._expect(index, _RUNNING)
        self._board.end(index)
        self._state[index] = _SETTLED
        if index in self._promised:
            self._ended.append(index)

    def requeue(self, index: int) -> None:
        """A running measurement came to its end and is to run once more; it is the next of its pair."""
        self.finish(index)
        self._wait_again(index)

    def withdraw(self, node: str) -> list[Measurement]:
        """Takes out all that waits for a node; what runs there runs on."""
        if node not in self._number:
            return []
        taken = sorted(self._board.take_all(self._number[node]))
        for index in taken:
            self._state[index] = _SETTLED
            self._waiting_seconds -= self._measurements[index].seconds
            self._break_promise(self._promised_by.get(index))
        self._waiting -= len(taken)
        return [self._measurements[index] for index in taken]

    def restore(self, measurements: Iterable[Measurement]) -> None:
        """Lets measurements wait again that were withdrawn or finished."""
        for one in sorted(measurements, key=lambda one: one.index, reverse=True):
            self._expect(one.index, _SETTLED)
            self._wait_again(one.index)

    def add(self, one: Measurement) -> None:
        """A further measurement, of nodes that have some already; its index is the number of those that there are.

        ValueError for another index, or a node that the schedule does not know.
        """
        if one.index != len(self._measurements):
            raise ValueError(f"the next measurement is number {len(self._measurements)}, not {one.index}")
        for node in one.nodes:
            if node not in self._number:
                raise ValueError(f"no measurement was planned on {node}")
        self._measurements.append(one)
        self._board.append((self._number[one.nodes[0]], self._number[one.nodes[-1]]), one.seconds)
        self._state.append(_SETTLED)
        self._wait_again(one.index)

    def ahead(self, index: int) -> Measurement | None:
        """What will most probably run next on nodes of a running measurement, so that it can be made ready.

        It is what would start if the measurement ended now; where none of its nodes would find a partner, what would
        start if the one that probably ends nearest to it ended too; where only a local cell is left, that. `start`
        prefers it, but no node idles for it.
        None where nothing is probable, or where a node of it is already waited for by another running measurement.
        """
        self._expect(index, _RUNNING)
        self._break_promise(index)
        following = self._following((index,))
        if following is None:
            nearest = self._ends_nearest_to(index)
            following = None if nearest is None else self._following((index, nearest))
        if following is None:
            following = self._last_local(index)
        if following is None:
            return None
        nodes = self._nodes(following)
        if nodes & self._promised_nodes:
            return None
        self._promised_nodes |= nodes
        self._promised[index] = following
        self._promised_by[following] = index
        return self._measurements[following]

    @property
    def _room(self) -> int:
        return self._most - len(self._board.expected_end)

    def _following(self, ending: Sequence[int]) -> int | None:
        """What would start on nodes of the first of `ending` if all of them ended now."""
        freed = {node for index in ending for node in self._nodes(index)}
        board = self._board
        crossing = None
        if board.caps is not None:
            crossing = board.caps.without((board.first[index], board.second[index]) for index in ending)
        fresh = board.free | freed if crossing is not None else board.fresh | freed
        would_start = board.matches(board.free | freed, fresh, self._promised_by, crossing)
        for _, index in zip(range(self._room + len(ending)), would_start, strict=False):
            if self._nodes(index) & self._nodes(ending[0]):
                return index
        return None

    def _last_local(self, index: int) -> int | None:
        nodes = sorted(node for node in self._nodes(index) if not self._board.has_pairs(node))
        return next((local for node in nodes if (local := self._board.waits_for(node, node)) is not None), None)

    def _ends_nearest_to(self, index: int) -> int | None:
        ends = self._board.expected_end
        others = (other for other in ends if other != index and other not in self._promised)
        return min(others, key=lambda other: (abs(ends[other] - ends[index]), other), default=None)

    def _nodes(self, index: int) -> set[int]:
        return {self._board.first[index], self._board.second[index]}

    def _wait_again(self, index: int) -> None:
        self._board.put(index)
        self._state[index] = _WAITING
        self._waiting += 1
        self._waiting_seconds += self._measurements[index].seconds

    def _break_promise(self, index: int | None) -> None:
        if index is not None and (following := self._promised.pop(index, None)) is not None:
            del self._promised_by[following]
            self._promised_nodes -= self._nodes(following)

    def _expect(self, index: int, state: int) -> None:
        if self._state[index] != state:
            names = ("waits", "runs", "is settled")
            raise ValueError(f"measurement {index} {names[self._state[index]]}; it should be one that {names[state]}")


class _Waiting(Collection[Measurement]):
    def __init__(self, measurements: Sequence[Measurement], state: bytearray, count: int) -> None:
        self._measurements, self._state, self._count = measurements, state, count

    def __len__(self) -> int:
        return self._count

    def __contains__(self, one: object) -> bool:
        return isinstance(one, Measurement) and self._state[one.index] == _WAITING

    def __iter__(self) -> Iterator[Measurement]:
        index = self._state.find(_WAITING)
        while index >= 0:
            yield self._measurements[index]
            index = self._state.find(_WAITING, index + 1)
