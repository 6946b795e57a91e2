"""The continuous probe over real sockets: what it reports, what it keeps, and when it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from netmesh.v1 import agent_pb2
from netmesh_agent import probing as module
from netmesh_agent.errors import Refused
from netmesh_agent.probing import Probing
from netmesh_agent.probing_settings import Configuration, ProbePeer
from netmesh_agent.stamp.sessions import Sessions
from netmesh_agent.tools.base import StampSession

SSID = 400
KEY = b"p" * 32
# The reflectors live in this very process: where it stands still for longer than the timeout, answers are late.
CONFIGURATION = Configuration(1, 0.1, 1.0, 0.5, 60.0, (), ())
# Addresses of the loopback network: a reflector each, on one port.
ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


@dataclasses.dataclass
class Mesh:
    """One agent that probes, and reflectors at other addresses."""

    probing: Probing
    sessions: Sessions
    stack: AsyncExitStack

    def reflector(self, address: str, key: bytes | None = None) -> ProbePeer:
        sessions = Sessions([address], 0)
        self.stack.callback(sessions.close)
        sessions.open(StampSession(SSID, (), key))
        assert sessions.port is not None
        return ProbePeer(address, sessions.port, SSID, key, same_clock=True)

    async def reports(self, count: int, instance: str = "", after: int = 0) -> list[agent_pb2.ProbeReport]:
        found: list[agent_pb2.ProbeReport] = []
        async with asyncio.timeout(20), aclosing(self.probing.reports(instance, after)) as reports:
            async for report in reports:
                found.append(report)
                if len(found) == count:
                    return found
        raise AssertionError("it ended")


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        sessions = Sessions(["127.0.0.1", "::1"], 0)
        stack.callback(sessions.close)
        probing = Probing(sessions, agent_pb2.HostSample, lambda: 0.001)
        stack.push_async_callback(probing.close)
        yield Mesh(probing, sessions, stack)


def silent(stack: AsyncExitStack) -> ProbePeer:
    """A peer that never answers."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0))
    return ProbePeer("127.0.0.1", sock.getsockname()[1], SSID)


def column(reports: list[agent_pb2.ProbeReport], name: str, place: int) -> int:
    return sum(getattr(report, name)[place] for report in reports if getattr(report, name))


async def test_each_peer_has_its_place_in_the_columns(mesh: Mesh) -> None:
    peers = (*map(mesh.reflector, ADDRESSES), silent(mesh.stack), mesh.reflector("::1"))
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=peers))
    began = time.monotonic()
    reports = await mesh.reports(6)
    assert [report.window for report in reports] == [1, 2, 3, 4, 5, 6]
    covered = sum(report.seconds for report in reports)
    assert 0 < covered < time.monotonic() - began + 0.1
    for place in (0, 1, 2, 4):
        # Intervals are 0.1 s, give or take a tenth; what this process slept through is not made up for.
        settled = column(reports, "sent", place)
        assert settled <= covered / 0.09 + 1
        # Under way for a second and four turns at most.
        assert settled + column(reports, "skipped", place) >= (covered - 1.5) / 0.11 - 2
        for name in ("lost", "forward_lost", "return_lost", "late", "duplicates", "incomplete"):
            assert column(reports, name, place) == 0, name
        # Each answered probe has its network round trip, by four stamps of kernels.
        assert column(reports, "measured", place) == column(reports, "sent", place)
    # Silence is loss, as soon as the timeout is over.
    assert column(reports, "lost", 3) == column(reports, "sent", 3) > 5
    assert column(reports, "measured", 3) == 0
    for report in reports:
        assert len(report.network_nanoseconds) == sum(report.measured)
        assert all(0 < time < 100_000_000 for time in report.network_nanoseconds)
        assert report.version == 1
        assert report.instance == mesh.probing.instance
        assert report.seconds > 0


async def test_windows_end_at_whole_multiples_of_their_length(mesh: Mesh) -> None:
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=(mesh.reflector(ADDRESSES[0]),)))
    for report, later in itertools.pairwise(await mesh.reports(4)):
        off = report.ended_unix_nanoseconds / 1e9 % 0.5
        # Where this process stood still a tick was late too, before the window's end or after it.
        assert off < 0.1 + max(report.latest_seconds, later.latest_seconds)


async def test_authenticated_probes(mesh: Mesh) -> None:
    good = mesh.reflector(ADDRESSES[0], KEY)
    other = dataclasses.replace(mesh.reflector(ADDRESSES[1], KEY), key=b"q" * 32)
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=(good, other)))
    reports = await mesh.reports(5)
    assert column(reports, "measured", 0) == column(reports, "sent", 0) > 0
    assert column(reports, "lost", 1) == column(reports, "sent", 1) > 0
    assert KEY.decode() not in repr(good)
    assert KEY not in b"".join(report.SerializeToString() for report in reports)


async def test_peers_that_stay_are_not_disturbed_by_a_change(mesh: Mesh) -> None:
    first, second = mesh.reflector(ADDRESSES[0]), mesh.reflector(ADDRESSES[1])
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=(first,)))
    await mesh.reports(2)
    for version in range(2, 8):
        peers = (second, first) if version % 2 else (first,)
        await mesh.probing.configure(dataclasses.replace(CONFIGURATION, version=version, peers=peers))
        await asyncio.sleep(0.12)
    reports = await mesh.reports(11)
    places = {report.version: 1 if report.version % 2 and report.version > 1 else 0 for report in reports}
    of_first = [(report, places[report.version]) for report in reports]
    assert {report.version for report in reports} == set(range(1, 8))
    sent = sum(report.sent[place] for report, place in of_first if report.sent)
    assert sent > 10
    for name in ("lost", "forward_lost", "return_lost"):
        assert not any(getattr(report, name)[place] for report, place in of_first if getattr(report, name)), name
    # Never more places than the configuration of that window has.
    assert all(len(report.sent) in {0, 2 if places[report.version] else 1} for report in reports)


async def test_what_nobody_asked_for_is_kept_and_told_once(mesh: Mesh) -> None:
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=(mesh.reflector(ADDRESSES[0]),)))
    seen = await mesh.reports(2)
    # Nobody reads for a while; then a reader goes on where it was.
    await asyncio.sleep(1.2)
    instance = seen[0].instance
    missed = await mesh.reports(3, instance, seen[-1].window)
    assert [report.window for report in missed] == [3, 4, 5]
    again = await mesh.reports(2, instance, 3)
    assert [report.window for report in again] == [4, 5]
    # One that knew another process of this agent is told all that there is.
    assert (await mesh.reports(1, "another", 99))[0].window == 4


async def test_what_is_kept_is_bounded_and_what_is_forgotten_is_counted(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_WINDOWS", 3)
    await mesh.probing.configure(dataclasses.replace(CONFIGURATION, peers=(mesh.reflector(ADDRESSES[0]),)))
    last = (await mesh.reports(6))[-1]
    kept = await mesh.reports(3)
    assert [report.window for report in kept] == [last.window - 2, last.window - 1, last.window]
    assert last.forgotten >= 2


async def test_it_ends_with_its_lease_and_reading_renews_it(mesh: Mesh) -> None:
    peer = mesh.reflector(ADDRESSES[0])
    answered = (StampSession(SSID),)
    short = dataclasses.replace(CONFIGURATION, lease_seconds=1.5, peers=(peer,), answered=answered)
    await mesh.probing.configure(short)
    # As long as somebody reads, it goes on.
    last = (await mesh.reports(5))[-1].window
    async with asyncio.timeout(20):
        while mesh.probing._ending is not None or mesh.probing._answered:
            await asyncio.sleep(0.02)
    ended = mesh.probing._window
    kept = [report.window for report in await mesh.reports(ended - last, mesh.probing.instance, last)]
    assert kept == list(range(last + 1, ended + 1))
    assert kept
    # Its sessions are free again, and no window follows.
    mesh.sessions.open(StampSession(SSID))
    await asyncio.sleep(0.7)
    assert mesh.probing._window == ended


async def test_agents_probe_each_other(mesh: Mesh) -> None:
    sessions = Sessions(["127.0.0.5"], 0)
    other = Probing(sessions, agent_pb2.HostSample)
    try:
        sessions.listen()
        mesh.sessions.listen()
        assert sessions.port is not None
        assert mesh.sessions.port is not None
        there = ProbePeer("127.0.0.5", sessions.port, SSID)
        here = ProbePeer("127.0.0.1", mesh.sessions.port, SSID)
        answered = (StampSession(SSID, ("127.0.0.1", "127.0.0.5")),)
        both = dataclasses.replace(CONFIGURATION, answered=answered)
        await mesh.probing.configure(dataclasses.replace(both, peers=(there,)))
        await other.configure(dataclasses.replace(both, peers=(here,)))
        # The first window may have probes from before the other one answered.
        (_, *reports) = await mesh.reports(5)
        assert column(reports, "sent", 0) > 0
        # Another address less: the one that stays is answered without a break.
        await other.configure(
            dataclasses.replace(both, version=2, peers=(here,), answered=(StampSession(SSID, ("127.0.0.1",)),))
        )
        more = await mesh.reports(3, mesh.probing.instance, reports[-1].window)
        assert column(more, "lost", 0) == column(more, "forward_lost", 0) == column(more, "return_lost", 0) == 0
    finally:
        await other.close()
        sessions.close()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": 0}, "version"),
        ({"interval_seconds": 0.0}, "interval_seconds"),
        ({"interval_seconds": float("nan")}, "interval_seconds"),
        ({"timeout_seconds": 60.0}, "timeout_seconds"),
        ({"window_seconds": 0.1}, "window_seconds"),
        ({"lease_seconds": -1.0}, "lease_seconds"),
        ({"peers": (ProbePeer("127.0.0.1", 9, 1), ProbePeer("127.0.0.1", 9, 2))}, "peers"),
        ({"peers": (ProbePeer("node-1", 9, 1),)}, "peers"),
        ({"peers": (ProbePeer("127.0.0.1", 0, 1),)}, "peers"),
        ({"answered": (StampSession(0),)}, "answered"),
        ({"answered": (StampSession(7, ("node-1",)),)}, "stamp.peers"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(mesh: Mesh, changes: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await mesh.probing.configure(dataclasses.replace(CONFIGURATION, **changes))  # type: ignore[arg-type]  # by name
    assert (refused.value.code, refused.value.field) == ("refused", field)
