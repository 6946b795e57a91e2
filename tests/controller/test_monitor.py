"""The monitor without a mesh: whose time its windows are of."""

from __future__ import annotations

import asyncio
import time

import pytest

from netmesh_common.tls import Certificates
from netmesh_controller.engines.monitor import Closed, Monitor
from netmesh_controller.engines.monitoring.intake import Intake
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
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
