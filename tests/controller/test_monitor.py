"""The monitor without a mesh: whose time its windows are of."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from netmesh.v1 import agent_pb2
from netmesh_common.tasks import cancelled
from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.clients.store import open_store
from netmesh_controller.engines.monitor import Closed, Monitor
from netmesh_controller.engines.monitoring.intake import Intake
from netmesh_controller.engines.monitoring.keeping import Keeping
from netmesh_controller.engines.monitoring.members import Found, Member
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.probing.history import points
from netmesh_controller.mesh.probing.judging import lost_agents
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, PeerReport, empty, take
from netmesh_controller.surfaces.web.mesh_metrics import MeshMetrics


async def nobody() -> list[Located]:
    return []


def no_certificates() -> Certificates:
    raise AssertionError("nobody is connected to")


async def test_windows_begin_anew_with_each_term() -> None:
    closed: list[Closed] = []
    monitor = Monitor(Source(nobody, no_certificates, {}), on_closed=closed.append)
    # It led a day ago and stood by since.
    ago = [86_400.0]
    monitor.intake = Intake(lambda _: None, now=lambda: time.time() - ago[0])
    monitor.intake.counts.taken = 7
    ago[0] = 0.0
    await monitor.lead(2)
    try:
        await asyncio.sleep(0)  # its tasks begin
        begun = monitor.intake.rolling.filling.started
        assert time.time() - begun == pytest.approx(0, abs=2 * BASE_SECONDS)
        assert (closed, monitor.intake.counts.taken, monitor.live(60, "p50")) == ([], 7, None)
    finally:
        await monitor.stand_by()


def test_a_member_is_silent_from_its_end_to_its_next_word() -> None:
    member = Member("a", cast(AgentClient, None), None, "a:1", {}, (), 1, None)
    assert not member.was_silent(0.0, 1e12)
    member.is_silent(13.0)
    member.is_silent(15.0)  # tried again, in vain
    assert [member.was_silent(begin, begin + 10) for begin in (0.0, 10.0, 20.0)] == [False, True, True]
    member.is_heard(24.0)
    member.is_heard(34.0)
    assert [member.was_silent(begin, begin + 10) for begin in (0.0, 10.0, 20.0, 30.0)] == [False, True, True, False]


async def test_a_long_window_has_the_marks_of_all_its_parts() -> None:
    monitor = Monitor(Source(nobody, no_certificates, {}))
    monitor.standing = Standing(("a", "b"), (None, None), ~np.eye(2, dtype=bool))
    monitor.intake.rolling.with_nodes(("a", "b"))
    gone = {"a": Reason(code="agent_lost", message="it is gone")}
    for own, marked, missing in (({"a"}, {}, gone), (set(), {"b": ("throttled",)}, {}), (set(), {"b": ("steal",)}, {})):
        monitor.intake.rolling.close()
        monitor.note(Standing(own=frozenset(own), marked=marked, missing=missing))
    short, long = monitor.live(BASE_SECONDS, "sent"), monitor.live(60, "sent")
    assert short is not None
    assert long is not None
    assert short.standing.own == frozenset()
    assert short.standing.marked == {"b": ("steal",)}
    assert long.standing.own == {"a"}
    assert long.standing.marked == {"b": ("throttled", "steal")}
    # Its agent is back: why the minute has no figure is that it was gone; that of 10 s is another matter.
    assert (long.standing.missing, short.standing.missing) == ({}, {})
    assert long.table.document().reasons[0][1] == long.table.document().reasons[1][0] == "agent_lost"
    assert short.table.document().reasons[0][1] == "not_scheduled"


async def test_probes_to_who_has_not_told_of_a_window_are_no_loss() -> None:
    """As of a node without power: its connection is open, as far as is known, and no report has come."""
    monitor = Monitor(Source(nobody, no_certificates, {}))
    members = {
        name: Member(name, cast(AgentClient, None), None, f"{name}:1", {}, (), 1, None, versions={1: ("a", "b", "c")})
        for name in "abc"
    }
    monitor._found = Found(members, {})
    monitor.intake.with_nodes("abc", dict.fromkeys("abc"))
    begun = monitor.intake.rolling.filling.started
    for name in "ab":
        others = [0 if peer == name else 10 for peer in "abc"]
        report = agent_pb2.ProbeReport(
            instance="i", window=1, version=1, ended_unix_nanoseconds=(begun + 5) * 10**9, seconds=10, sent=others,
            lost=[count if peer == "c" else 0 for peer, count in zip("abc", others, strict=True)],
            measured=[0, 0, 0],
        )  # fmt: skip
        monitor.intake.report(members[name], report)
    assert monitor.intake.counts.taken == 2
    assert monitor._silent(begun, begun + 12) == [2]


async def test_what_an_agent_tells_of_another_time_is_left_out_and_its_clock_is_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor(Source(nobody, no_certificates, {}))
    member = Member("a", cast(AgentClient, None), None, "a:1", {}, (), 1, None, versions={1: ("b",)})
    monitor._found = Found({"a": member}, {})
    monitor.intake.with_nodes("ab", dict.fromkeys("ab"))
    begun = monitor.intake.rolling.filling.started

    def tells(window: int, ahead: int) -> str | None:
        """The reason for what is not known of it, after a report of a clock that is ahead by so many seconds."""
        report = agent_pb2.ProbeReport(
            instance="i",
            window=window,
            version=1,
            ended_unix_nanoseconds=(begun + 5 + ahead) * 10**9,
            seconds=10,
            sent=[10],
            measured=[1],
            network_nanoseconds=[1000],
        )
        monitor.intake.report(member, report)
        monitor._told = monitor.intake.told
        reason = monitor._stands().missing.get("a")
        return None if reason is None else f"{reason.code}: {reason.message}"

    assert tells(1, 0) is None
    sent = monitor.intake.rolling.filling.sent.sum()
    assert sent == 10
    monitor.intake.close()
    for window, ahead, way in ((2, 3600, "ahead of"), (3, -3600, "behind")):
        told = tells(window, ahead)
        assert told is not None
        assert told.startswith("refused: a: what its agent tells is left out: its clock was set, and is 3")
        assert told.endswith(f" s {way} the controller's")
    # Nothing of these is in a window, of now or of an hour ago.
    assert (monitor.intake.counts.refused["clock"], monitor.intake.counts.late) == (2, 0)
    assert monitor.intake.rolling.filling.sent.sum() == 0
    assert tells(4, BASE_SECONDS) is None
    assert monitor.intake.rolling.filling.sent.sum() == 10
    # What is only late is no agent that is lost.
    for _ in range(3):
        monitor.intake.close()
    assert (tells(5, BASE_SECONDS) or "").startswith("timeout: a: what its agent tells comes too late")
    # Nobody has found b.
    assert [one.where["node"] for one in lost_agents(monitor._stands())] == ["b"]
    monkeypatch.setattr("netmesh_controller.engines.monitor.LATE_SECONDS", 0.0)
    assert [one.where["node"] for one in lost_agents(monitor._stands())] == ["a", "b"]


@pytest.mark.parametrize("step", [3600, -3600])
async def test_windows_begin_anew_when_the_controller_s_clock_is_set(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Closed] = []
    monitor = Monitor(Source(nobody, no_certificates, {}), on_closed=closed.append)
    now, ahead = time.time_ns, 0
    monkeypatch.setattr(time, "time_ns", lambda: now() + ahead * 10**9)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    monkeypatch.setattr("netmesh_controller.engines.monitor.CLOCK_SECONDS", 0.01)
    monitor.intake = Intake(lambda _: None, now=time.time)
    member = Member("a", cast(AgentClient, None), None, "a:1", {}, (), 1, None, base=int(time.time()))
    member.is_silent(time.time())
    member.is_heard(time.time() + 1)
    monitor._found = Found({"a": member}, {})
    closing = asyncio.create_task(monitor._close_windows())
    try:
        await asyncio.sleep(0)  # it begins
        before = len(closed)
        ahead = step
        async with asyncio.timeout(20):
            while abs(monitor.intake.rolling.filling.started - time.time()) > 2 * BASE_SECONDS:
                await asyncio.sleep(0.01)
        # An hour that never was is nobody's gap, and what comes then is not of a time before.
        assert len(closed) <= before + 1
        assert (member.base, member.was_silent(0.0, time.time() + 1)) == (0, False)
    finally:
        await cancelled(closing)


@pytest.mark.parametrize("restarted", [False, True])
async def test_minutes_of_a_clock_that_was_set_back_are_counted_once(tmp_path: Path, restarted: bool) -> None:
    """Also where the controller that saw them the first time has ended since."""
    store = await open_store(tmp_path)
    minute = int(time.time()) // 60 * 60
    standing = Standing(("a", "b"), (None, None), ~np.eye(2, dtype=bool))
    keeping = Keeping(store, Monitor(Source(nobody, no_certificates, {})))
    try:
        for terms, minutes in enumerate(((minute - 60, minute), (minute - 60, minute, minute + 60)), 1):
            if terms == 1 or restarted:
                await keeping.stand_by()
                keeping = Keeping(store, Monitor(Source(nobody, no_certificates, {})))
                await keeping.lead(terms)
                async with asyncio.timeout(20):
                    # It has taken up what was kept.
                    while len(keeping._tasks) < 2:
                        await asyncio.sleep(0.01)
                # What is seen comes from here alone: windows of a mesh of nobody would come between.
                await cancelled(keeping._tasks[0])
                await keeping.monitor.stand_by()
            for started in minutes:
                whole = empty(2, started, 60)
                whole.sent[0, 1] = 60
                windows = {BASE_SECONDS: empty(2, started + 60 - BASE_SECONDS), 60: whole}
                await keeping._take(Closed(windows, standing, {}, ()))
        await keeping.stand_by()
        blocks = await keeping.recorder.store.blocks(60, minute - 60, minute + 120, ("a", "b"))
        assert points(blocks, "a", "b", 60, minute - 60, minute + 120).sent == [60, 60, 60]
    finally:
        await keeping.stand_by()
        await store.close()


async def test_series_of_gone_nodes_end_and_their_zone_s_too(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    monitor = Monitor(Source(nobody, no_certificates, {}))
    metrics = MeshMetrics(Keeping(store, monitor), per_pair=True)
    monitor._tasks = [asyncio.create_task(asyncio.sleep(3600))]
    try:
        for nodes, zones in (("abc", {"a": "x", "b": "x", "c": "y"}), ("ab", {"a": "x", "b": "x"})):
            monitor.intake.with_nodes(nodes, zones)
            size = len(nodes)
            for source in range(size):
                targets = np.array([one for one in range(size) if one != source], dtype=np.intp)
                count = np.full(size - 1, 2)
                report = PeerReport(source, targets, count, count - 1, count - 1, np.full(size - 1, 1e-3))
                monitor.intake.totals.add(tuple(nodes), tuple(zones.values()), report)
                take(monitor.intake.rolling.filling, report)
            monitor.standing = Standing(tuple(nodes), tuple(zones.values()), ~np.eye(size, dtype=bool))
            monitor.intake.rolling.close()
            labels = [set(sample.labels.values()) for metric in metrics.collect() for sample in metric.samples]
            told = {name: sum(name in one for one in labels) for name in ("a", "b", "c", "x", "y")}
            # Every node has its histogram, three gauges, and its pairs.
            assert all((count > 20) == (name in nodes or name in zones.values()) for name, count in told.items()), told
            assert all(count == 0 for name, count in told.items() if name not in (*nodes, *zones.values())), told
    finally:
        await monitor.stand_by()
        await store.close()
