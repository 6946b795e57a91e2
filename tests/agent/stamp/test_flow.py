"""A sender's account: stamps that come late or never, and where packets went missing."""

from __future__ import annotations

from netmesh_agent.stamp import packets
from netmesh_agent.stamp.flow import Flow
from netmesh_agent.stamp.link import Link
from netmesh_agent.stamp.tlvs import CONTROL_PLANE, SW_LOCAL
from netmesh_agent.stamp.window import Window, fold

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
# Of every probe here: what the kernel's stamps say, and what the processes add.
FORWARD, REFLECTOR, BACK, SENDER_LATE, RECEIVER_LATE = 30_000, 400_000, 20_000, 5_000, 70_000


class Path:
    """A flow whose probes leave a millisecond apart, over a path that does what it is told."""

    def __init__(self, *, timeout: int = SECOND, capacity: int = 4096) -> None:
        self.flow = Flow(capacity=capacity, timeout_nanoseconds=timeout, settle_nanoseconds=2 * timeout)
        self.at: list[int] = []

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            t1 = START + len(self.at) * 1_000_000
            self.at.append(t1)
            self.flow.sent(t1 + 7, t1)
            self.flow.transmitted((len(self.at) - 1) & 0xFFFFFFFF, t1 + SENDER_LATE)

    def answer(
        self, sequence: int, reflected: int, *, late: int = 0, kernel: bool = True, method: int = SW_LOCAL
    ) -> bool:
        t2 = self.at[sequence] + SENDER_LATE + FORWARD
        t3 = t2 + REFLECTOR
        t4 = t3 + BACK + late
        return self.flow.answered(
            sequence,
            self.at[sequence] + 7,
            reflected,
            t2,
            t3 - 300_000,
            t4 + RECEIVER_LATE,
            t4 if kernel else 0,
            method,
        )

    def follow(self, sequence: int, reflected: int) -> None:
        self.flow.followed_up(reflected, self.at[sequence] + SENDER_LATE + FORWARD + REFLECTOR)

    def take(self, error: int | None = None) -> Window:
        self.flow.settle(1 << 62)
        return self.flow.take(error)


def test_network_time_is_the_kernels_and_the_rest_the_hosts() -> None:
    path = Path()
    path.send()
    assert path.answer(0, 0)
    path.follow(0, 0)
    window = path.take(1_000)
    assert list(window.network) == [FORWARD + BACK]
    assert list(window.round_trip) == [SENDER_LATE + FORWARD + REFLECTOR + BACK + RECEIVER_LATE]
    assert window.host[0] + window.network[0] == window.round_trip[0]
    assert (list(window.forward), list(window.back)) == ([FORWARD], [BACK])
    assert (window.transmit_kernel, window.receive_kernel, window.follow_up, window.reflector_kernel) == (True,) * 4


def test_one_way_delays_may_be_negative_and_are_not_told_without_an_error() -> None:
    path = Path()
    path.send(2)
    for sequence in range(2):
        t1 = path.at[sequence]
        # The reflector's clock is 10 ms behind.
        path.flow.answered(sequence, t1 + 7, sequence, t1 - 10_000_000, t1 - 9_900_000, t1 + 200_000, t1 + 190_000, 0)
    window = path.take(20_000_000)
    assert window.one_way_error_nanoseconds == 20_000_000
    assert window.forward[0] == -10_000_000 - SENDER_LATE
    path.send()
    path.answer(2, 2)
    assert not path.take(None).forward


def test_a_missing_stamp_stays_missing() -> None:
    path = Path()
    path.send(4)
    path.flow.sent(7, START)  # the kernel gives no T1 for it
    for sequence in range(4):
        path.answer(sequence, sequence, kernel=sequence != 1, method=CONTROL_PLANE if sequence == 2 else SW_LOCAL)
        if sequence != 3:
            path.follow(sequence, sequence)
    path.flow.answered(4, 7, 4, START + 1, START + 2, START + 3, START + 3, SW_LOCAL)
    path.flow.followed_up(4, START + 2)
    window = path.take()
    assert window.received == 5
    assert len(window.round_trip) == 5
    assert (len(window.network), window.incomplete) == (1, 4)


def test_stamps_of_the_processes_stand_in_where_there_are_no_others() -> None:
    flow = Flow(capacity=8, timeout_nanoseconds=SECOND, settle_nanoseconds=SECOND)
    flow.sent(7, START)
    flow.answered(0, 7, 0, START + 100, START + 150, START + 300, 0, 0)
    flow.settle(1 << 62)
    window = flow.take(None)
    assert list(window.network) == [300 - 50]
    assert (window.transmit_kernel, window.receive_kernel, window.follow_up) == (False, False, False)


def test_a_transmit_stamp_from_before_the_probe_is_anothers() -> None:
    path = Path()
    path.flow.sent(7, START)
    path.flow.transmitted(0, START - 1)
    assert not path.flow.transmit_kernel


def test_losses_are_attributed_to_their_direction() -> None:
    path = Path()
    path.send(100)
    reflected = 0
    for sequence in range(100):
        if sequence % 10 == 3:  # lost on the way there: 10
            continue
        if sequence % 20 != 5:  # lost on the way back: 5
            path.answer(sequence, reflected)
        reflected += 1
    window = path.take()
    assert (window.sent, window.received, window.lost) == (100, 85, 15)
    assert (window.forward_lost, window.return_lost) == (10, 5)


def test_a_stateless_reflector_cannot_tell_where() -> None:
    path = Path()
    path.send(10)
    for sequence in (0, 1, 2, 4, 5, 6, 7, 8, 9):
        path.answer(sequence, sequence)
    window = path.take()
    assert (window.lost, window.forward_lost, window.return_lost) == (1, None, None)


def test_reordering_is_no_loss() -> None:
    there = Path()
    there.send(5)
    for reflected, sequence in enumerate((0, 2, 1, 3, 4)):
        there.answer(sequence, reflected)
    back = Path()
    back.send(5)
    for sequence in (0, 2, 1, 3, 4):
        back.answer(sequence, sequence)
    for path in (there, back):
        window = path.take()
        assert (window.lost, window.out_of_order, window.forward_lost, window.return_lost) == (0, 1, 0, 0)


def test_duplicates_on_either_way_are_no_answers_and_no_loss() -> None:
    path = Path()
    path.send(3)
    path.answer(0, 0)
    path.answer(0, 0)  # twice on the way back
    path.answer(1, 1)
    path.answer(1, 2)  # twice on the way there
    path.answer(2, 3)
    window = path.take()
    assert (window.received, window.duplicates, window.lost) == (3, 2, 0)
    assert (window.forward_lost, window.return_lost) == (0, 0)


def test_late_answers_are_lost_and_late() -> None:
    path = Path(timeout=1_000_000)
    path.send(3)
    path.answer(0, 0, late=2_000_000)
    path.answer(2, 2)
    window = path.take()
    assert (window.received, window.lost, window.late) == (1, 2, 1)
    path.send()
    path.answer(1, 1)  # after its window
    path.answer(3, 3)
    window = path.take()
    assert (window.received, window.lost, window.late) == (1, 0, 1)


def test_lateness_is_the_networks_not_the_processes() -> None:
    path = Path(timeout=1_000_000)
    path.send()
    # The process read it two seconds after the kernel had it.
    path.flow.answered(0, path.at[0] + 7, 0, START + 30_000, START + 40_000, START + 2 * SECOND, START + 60_000, 0)
    assert path.take().received == 1


def test_a_reflector_that_begins_anew() -> None:
    path = Path()
    path.send(200)
    for sequence in range(100):
        path.answer(sequence, sequence)
    for sequence in range(110, 200):
        path.answer(sequence, sequence - 110)
    window = path.take()
    assert (window.lost, window.forward_lost, window.return_lost) == (10, None, None)
    path.send(3)
    path.answer(200, 90)
    path.answer(202, 91)
    window = path.take()
    assert (window.lost, window.forward_lost, window.return_lost) == (1, 1, 0)


def test_sequence_wrap() -> None:
    path = Path(capacity=16)
    path.flow.sequence = path.flow._cursor = 0xFFFFFFFE
    path.flow._highest = path.flow._highest_reflected = 0xFFFFFFFD
    path.flow._reflected = 0xFFFFFFFE
    wires = [path.flow.sent(number, START + number) for number in range(4)]
    assert wires == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1]
    for number, wire in enumerate(wires):
        assert path.flow.answered(wire, number, wire, START + 1, START + 2, START + 9, START + 9, 0)
    assert path.flow.all_answered
    window = path.take()
    assert (window.received, window.lost, window.late, window.duplicates) == (4, 0, 0, 0)


def test_answers_to_nothing_are_refused() -> None:
    path = Path()
    assert not path.flow.answered(0, 7, 0, 1, 2, 3, 3, 0)
    path.send()
    assert not path.flow.answered(0, 8, 0, 1, 2, 3, 3, 0)
    assert path.take().received == 0


def test_answers_of_another_session_are_refused() -> None:
    flow = Flow(capacity=4, timeout_nanoseconds=SECOND, settle_nanoseconds=SECOND)
    link = Link(flow, b"", 9, key=None, packet_bytes=44, error=0x0101)
    flow.sent(7, START)
    for ssid, ours in ((8, False), (0, True)):
        reply = bytearray(packets.encode_reply(packets.Reply(0, 1, 0x0101, ssid, 1, 0, 7, 0x0101, 64)))
        assert link.read(reply, 0, len(reply), START, START) == ours
    assert not link.read(reply, 0, 43, START, START)


def test_more_under_way_than_there_is_room_for() -> None:
    path = Path(capacity=4)
    path.send(10)
    path.answer(9, 9)
    window = path.take()
    assert (window.sent, window.lost, window.received) == (10, 9, 1)


def test_a_clock_that_was_set_discards_what_is_under_way() -> None:
    path = Path()
    path.send(3)
    path.answer(0, 0)
    path.flow.discard()
    path.answer(1, 1)
    window = path.take()
    assert (window.sent, window.discarded, window.received, window.lost) == (0, 3, 0, 0)


def test_probes_that_end_a_test_bring_what_is_missing_and_count_nowhere() -> None:
    path = Path()
    path.send(3)
    path.answer(0, 0)
    path.follow(0, 0)
    path.answer(1, 1)
    path.flow.end()
    assert (path.flow.all_answered, path.flow.untold) == (False, 1)
    path.answer(2, 2)
    assert (path.flow.all_answered, path.flow.untold) == (True, 2)
    path.send(2)
    for sequence in (3, 4):
        path.answer(sequence, sequence)
        path.follow(sequence - 2, sequence - 2)
    assert (path.flow.all_answered, path.flow.untold) == (True, 0)
    window = path.take()
    assert (window.sent, window.received, len(window.network), window.incomplete, window.lost) == (3, 3, 3, 0, 0)


def test_folding_ports() -> None:
    windows = []
    for lost in (0, 2):
        path = Path()
        path.send(10)
        for reflected, sequence in enumerate(range(lost, 10)):
            path.answer(sequence, reflected)
        windows.append(path.take(500 if lost else 900))
    total = fold(windows)
    assert (total.sent, total.lost, total.forward_lost, total.one_way_error_nanoseconds) == (20, 2, 2, 900)
    assert len(total.network) == 18
    windows[0].one_way_error_nanoseconds = None
    assert fold(windows).one_way_error_nanoseconds is None
