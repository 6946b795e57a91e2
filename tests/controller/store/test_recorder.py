"""What waits for a store that is away is bounded: minutes are given up, events never."""

from __future__ import annotations

import time

import numpy as np
import pytest

from netmesh_controller.clients.store import Store
from netmesh_controller.engines.monitoring import recorder
from netmesh_controller.engines.monitoring.recorder import Recorder
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.probing.events import MeshEvent
from netmesh_controller.mesh.probing.history import HOUR, MINUTE, VALUES, Patch, points

# What is older than two hours is closed by the recorder.
START = int(time.time()) // HOUR * HOUR
MAY_WAIT, COUNT = 5, 12


def minute(number: int) -> Patch:
    values = {name: np.full((1, 1), 7 if name == "sent" else 0, np.uint16) for name in VALUES}
    return Patch(START + MINUTE * number, ("a",), ("b",), values)


async def test_minutes_beyond_what_may_wait_are_given_up_and_no_event(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(column.nbytes for column in minute(0).values.values())
    monkeypatch.setattr(recorder, "KEPT_BYTES", MAY_WAIT * size)
    finding = Finding(kind="lossy_node", where={"node": "a"}, size=0.1, sentence="a loses.")
    waiting = Recorder(store)
    for number in range(COUNT):
        # Every other minute has something to tell.
        told = MeshEvent(str(number), finding, "2026-11-25T20:00:00Z", "2026-11-25T20:00:10Z")
        waiting.put([minute(number)], events=[told] if number % 2 else [])
    assert waiting.dropped == COUNT - MAY_WAIT
    # The first may have been on its way, the rest is the newest.
    await waiting.finish()
    events = await waiting.store.events()
    assert {event.id for event in events} == {str(number) for number in range(1, COUNT, 2)}
    blocks = await waiting.store.blocks(MINUTE, START, START + HOUR, ("a", "b"))
    found = points(blocks, "a", "b", MINUTE, START, START + COUNT * MINUTE)
    assert [at for at, sent in enumerate(found.sent) if sent == 7] == [0, *range(COUNT - MAY_WAIT + 1, COUNT)]
