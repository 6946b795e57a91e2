"""A Session-Sender's account of one STAMP session: from one source port to one reflector. Pure: no I/O, no clock.

Each probe has a record in a ring until it is settled: then, once, it is worked out what came of it. So a stamp may come
at any time before, and the paths that packets take through the process only write numbers down.
"""

from __future__ import annotations

import struct
from array import array

from netmesh_agent.stamp.packets import MASK_32
from netmesh_agent.stamp.tlvs import CONTROL_PLANE, SW_LOCAL
from netmesh_agent.stamp.window import Window, longs

# Of one probe, times in ns, 0 where unknown: sequence, T1 on the wire, T1, T1 by the kernel, T3 by follow-up; and what
# its reply brought: T2, T3, T4, T4 by the kernel, the reflector's sequence, how T2 was taken.
_RECORD = struct.Struct("@qQqqq qqqqqq")
_T1_AT = struct.calcsize("@qQ")
_T1_KERNEL_AT = struct.calcsize("@qQq")
_FOLLOW_UP_AT = struct.calcsize("@qQqq")
_REPLY_AT = struct.calcsize("@qQqqq")
_T4_AT = struct.calcsize("@qQqqq qq")
_REFLECTED_AT = struct.calcsize("@qQqqq qqqq")
_NUMBER_AND_STAMP = struct.Struct("@qQ")
_REPLY = struct.Struct("@qqqqqq")
_ONE = struct.Struct("@q")

# A reflector that counts from the start again is a new one; a number this far behind is not reordering.
_REORDERING = 64
# A reflector may read a clock of coarse ticks.
_COARSE_NANOSECONDS = 100_000_000


class Flow:
    """Sequence numbers, records and counts of one session.

    `timeout_nanoseconds`: how long after T1 an answer counts. `settle_nanoseconds`: how long after T1 all stamps of a
    probe are there, the reflector's true T3, which comes with a later answer, among them. `capacity`: how many probes
    may wait for that; one more settles the oldest.
    """

    __slots__ = (
        "_answers",
        "_capacity",
        "_clock_set",
        "_cursor",
        "_discarded",
        "_end",
        "_forward_duplicates",
        "_highest",
        "_highest_reflected",
        "_mark",
        "_reflected",
        "_ring",
        "_settle_after",
        "_timeout",
        "follow_up",
        "numbered",
        "receive_kernel",
        "reflector_kernel",
        "sequence",
        "transmit_kernel",
        "window",
    )

    def __init__(self, *, capacity: int, timeout_nanoseconds: int, settle_nanoseconds: int) -> None:
        self._capacity = capacity
        self._timeout = timeout_nanoseconds
        self._settle_after = settle_nanoseconds
        # By the reflector's number: the probe that it answered.
        self._answers = array("q", bytes(8 * capacity))
        self._ring = bytearray(capacity * _RECORD.size)
        for slot in range(capacity):
            _ONE.pack_into(self._ring, slot * _RECORD.size, -1)
        self.sequence = 0
        self._cursor = 0
        self._end: int | None = None
        # Of the last time that this host's clock was set: the first probe that was under way, and the first after.
        self._discarded = (0, 0)
        self._clock_set = False
        self._highest = -1
        self._highest_reflected = -1
        self._reflected = 0
        self._forward_duplicates = 0
        self._mark = (0, 0)
        self.transmit_kernel = self.receive_kernel = self.reflector_kernel = self.follow_up = False
        self.numbered = False
        self.window = Window()

    def sent(self, stamp: int, now: int) -> int:
        """Notes a probe with T1 = `now`, `stamp` on the wire; returns its sequence number as it goes on the wire."""
        sequence = self.sequence
        if sequence - self._cursor >= self._capacity:
            self._settle_one()
        base = sequence % self._capacity * _RECORD.size
        _RECORD.pack_into(self._ring, base, sequence, stamp, now, 0, 0, 0, 0, 0, 0, 0, 0)
        self.sequence = sequence + 1
        if self._end is None:
            self.window.sent += 1
        return sequence & MASK_32

    def _find(self, wire: int) -> int:
        """Where the record of the latest probe with that sequence number on the wire is; -1 where it is gone."""
        sequence = self.sequence - 1 - (self.sequence - 1 - wire & MASK_32)
        base = sequence % self._capacity * _RECORD.size
        return base if sequence >= 0 and _ONE.unpack_from(self._ring, base)[0] == sequence else -1

    def transmitted(self, wire: int, stamp: int) -> None:
        """The kernel's T1. One before the process's own is another packet's, and is not taken."""
        base = self._find(wire)
        if base >= 0 and stamp >= _ONE.unpack_from(self._ring, base + _T1_AT)[0]:
            _ONE.pack_into(self._ring, base + _T1_KERNEL_AT, stamp)
            self.transmit_kernel = True

    def answered(
        self, wire: int, stamp: int, reflected: int, t2: int, t3: int, t4: int, t4_kernel: int, method: int
    ) -> bool:
        """Notes an answer; False where it is not to a probe of this session, by its number or by its T1 on the wire.

        `reflected` is the reflector's sequence number on the wire, `method` how it took T2 (0: it did not say).
        """
        sequence = self.sequence - 1 - (self.sequence - 1 - wire & MASK_32)
        if sequence < 0:
            return False
        base = sequence % self._capacity * _RECORD.size
        number, sent_stamp = _NUMBER_AND_STAMP.unpack_from(self._ring, base)
        if number == sequence and sent_stamp != stamp:
            return False
        if self._end is not None and sequence >= self._end:
            return True
        mine = self._extended(reflected)
        if reflected != wire:
            self.numbered = True
        behind = self._highest_reflected - mine
        if sequence > self._highest and self._highest_reflected > 0 and (mine <= 0 or behind > _REORDERING):
            mine = reflected
            self._begin_again(sequence, mine)
        if number == sequence and _ONE.unpack_from(self._ring, base + _T4_AT)[0]:
            self._duplicate(base, mine)
        elif number != sequence or sequence < self._cursor:
            # It was settled, and counted as lost; or it was discarded, and counts nowhere.
            if not self._discarded[0] <= sequence < self._discarded[1]:
                self.window.late += 1
            self._reflected += 1
        else:
            self._reflected += 1
            if sequence < self._highest:
                self.window.out_of_order += 1
            _REPLY.pack_into(self._ring, base + _REPLY_AT, t2, t3, t4, t4_kernel, mine, method)
            self._answers[mine % self._capacity] = sequence
            self.receive_kernel = self.receive_kernel or t4_kernel != 0
            self.reflector_kernel = self.reflector_kernel or method == SW_LOCAL
        self._highest = max(self._highest, sequence)
        self._highest_reflected = max(self._highest_reflected, mine)
        return True

    def _extended(self, reflected: int) -> int:
        """The reflector's number beyond 32 bits: the one nearest to the highest so far."""
        highest = self._highest_reflected
        return highest + ((reflected - highest + 0x80000000 & MASK_32) - 0x80000000)

    def _duplicate(self, base: int, mine: int) -> None:
        """Counts a second answer; under another number the reflector saw the probe twice."""
        self.window.duplicates += 1
        if _ONE.unpack_from(self._ring, base + _REFLECTED_AT)[0] != mine:
            self._forward_duplicates += 1
            self._reflected += 1

    def _begin_again(self, sequence: int, reflected: int) -> None:
        """The reflector's numbers begin anew: where packets went missing up to here cannot be told."""
        self._highest, self._highest_reflected = sequence - 1, reflected - 1
        self._reflected, self._forward_duplicates = reflected, 0
        self._mark = self._losses()
        self.window.forward_lost = self.window.return_lost = None

    def followed_up(self, reflected: int, t3: int) -> None:
        """The true T3 of an earlier answer, by the reflector's own number."""
        self.follow_up = self.numbered = True
        mine = self._extended(reflected)
        if mine < 0:
            return
        sequence = self._answers[mine % self._capacity]
        base = sequence % self._capacity * _RECORD.size
        if _ONE.unpack_from(self._ring, base)[0] == sequence and (
            _ONE.unpack_from(self._ring, base + _REFLECTED_AT)[0] == mine
        ):
            _ONE.pack_into(self._ring, base + _FOLLOW_UP_AT, t3)

    def discard(self) -> None:
        """Counts no probe that is under way: this host's clock was set, and times before and after do not compare.

        One-way delays of this window are not known: of a clock that had to be set nobody knows how far off it was.
        """
        under_way = (self.sequence if self._end is None else self._end) - self._cursor
        if under_way > 0:
            self.window.discarded += under_way
            self.window.sent -= under_way
            # Where those went missing is not told apart from where others did.
            self.window.forward_lost = self.window.return_lost = None
            self._discarded = (self._cursor, self.sequence)
            self._cursor = self.sequence
        self._clock_set = True

    def settle(self, now: int, *, eager: bool = False) -> None:
        """Works out what became of the probes that are due for it at `now`, in the order in which they were sent.

        `eager`: also of those of which nothing more is to come: all stamps are there, or the time for an answer is
        over. For a caller that has read all that waits in the socket.
        """
        over = now - self._settle_after
        end = self.sequence if self._end is None else self._end
        while self._cursor < end:
            base = self._cursor % self._capacity * _RECORD.size
            if _ONE.unpack_from(self._ring, base + _T1_AT)[0] > over and not (eager and self._is_known(base, now)):
                return
            self._settle_one()

    def _is_known(self, base: int, now: int) -> bool:
        if _ONE.unpack_from(self._ring, base + _T4_AT)[0]:
            return bool(_ONE.unpack_from(self._ring, base + _FOLLOW_UP_AT)[0])
        return bool(_ONE.unpack_from(self._ring, base + _T1_AT)[0] + self._timeout < now)

    def _settle_one(self) -> None:
        """Works out what became of the oldest probe."""
        window = self.window
        fields = _RECORD.unpack_from(self._ring, self._cursor % self._capacity * _RECORD.size)
        _, _, t1, t1_kernel, t3_true, t2, t3, t4, t4_kernel, _, method = fields
        self._cursor += 1
        if not t4:
            window.lost += 1
            return
        if (t4_kernel or t4) - t1 > self._timeout:
            window.lost += 1
            window.late += 1
            return
        window.received += 1
        window.round_trip.append(t4 - t1)
        # Where the kernel or the reflector never gave a stamp, the process's stands in; one that is missing stays so.
        left = t1_kernel or (0 if self.transmit_kernel else t1)
        back_at = t4_kernel or (0 if self.receive_kernel else t4)
        answered = t3_true or (0 if self.follow_up else t3)
        arrived = 0 if self.reflector_kernel and method == CONTROL_PLANE else t2
        if not (left and back_at and answered and arrived):
            window.incomplete += 1
            return
        held = answered - arrived
        if not -_COARSE_NANOSECONDS <= held <= back_at - left + _COARSE_NANOSECONDS:
            # The reflector's clock was set between the two: it cannot have had the probe for longer than it was away.
            window.incomplete += 1
            return
        network = (back_at - left) - held
        window.network.append(network)
        window.host.append(t4 - t1 - network)
        window.forward.append(arrived - left)
        window.back.append(back_at - answered)

    def _losses(self) -> tuple[int, int]:
        """Lost on the way there and on the way back since the session began, up to the last answer."""
        forward = self._highest - self._highest_reflected + self._forward_duplicates
        return forward, self._highest_reflected + 1 - self._reflected

    def end(self) -> None:
        """Counts no probe that is sent from now on: those only bring the true T3 of answers to earlier ones."""
        self._end = self.sequence

    @property
    def all_answered(self) -> bool:
        """Whether each probe that counts was answered."""
        return self._highest == (self.sequence if self._end is None else self._end) - 1 and self._losses() == (0, 0)

    @property
    def untold(self) -> int:
        """How many probes of an ended test were answered, but wait for the true T3 that their reflector tells."""
        if not self.follow_up or self._end is None:
            return 0
        bases = (sequence % self._capacity * _RECORD.size for sequence in range(self._cursor, self._end))
        return sum(
            _ONE.unpack_from(self._ring, base + _T4_AT)[0] != 0
            and _ONE.unpack_from(self._ring, base + _FOLLOW_UP_AT)[0] == 0
            for base in bases
        )

    def take(self, one_way_error_nanoseconds: int | None) -> Window:
        """The window that ends now; a new one begins."""
        window, self.window = self.window, Window()
        losses, before = self._losses(), self._mark
        self._mark = losses
        if window.forward_lost is not None:
            window.forward_lost, window.return_lost = losses[0] - before[0], losses[1] - before[1]
        if window.lost and not self.numbered:
            # A stateless reflector gives back the sender's own numbers, which show no loss on the way there.
            window.forward_lost = window.return_lost = None
        window.transmit_kernel, window.receive_kernel = self.transmit_kernel, self.receive_kernel
        window.reflector_kernel, window.follow_up = self.reflector_kernel, self.follow_up
        if self._clock_set:
            one_way_error_nanoseconds, self._clock_set = None, False
        window.one_way_error_nanoseconds = one_way_error_nanoseconds
        if one_way_error_nanoseconds is None:
            window.forward, window.back = longs(), longs()
        return window
