"""The monitor without a mesh: whose time its windows are of."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.engines.monitor import Closed, Monitor
from netmesh_controller.engines.monitoring.intake import Intake
from netmesh_controller.engines.monitoring.members import Member
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.probing.windows import BASE_SECONDS


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
    monitor.standing = Standing(nodes=("a", "b"), zones=(None, None))
    monitor.intake.rolling.with_nodes(("a", "b"))
    for own, marked in (({"a"}, {}), (set(), {"b": ("throttled",)}), (set(), {"b": ("steal",)})):
        monitor.intake.rolling.close()
        monitor.note_marks(frozenset(own), marked)
    short, long = monitor.live(BASE_SECONDS, "sent"), monitor.live(60, "sent")
    assert short is not None
    assert long is not None
    assert short.standing.own == frozenset()
    assert short.standing.marked == {"b": ("steal",)}
    assert long.standing.own == {"a"}
    assert long.standing.marked == {"b": ("throttled", "steal")}
