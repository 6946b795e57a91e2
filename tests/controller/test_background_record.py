"""What tests in the background leave in the store, a real one: found again, taken over, deleted by somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.stored import a_cell

from netmesh_common.tls import Certificates
from netmesh_controller.clients.store import RunNotFoundError, Store, open_store
from netmesh_controller.engines.background.record import Record
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.background.turns import Allowance, Ledger
from netmesh_controller.mesh.document import Cell, Node, Parameters, Summary

NODES = (Node(name="a"), Node(name="b"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()


def source(name: str) -> Source:
    async def nobody() -> list[Located]:
        return []

    def none() -> Certificates:
        raise AssertionError("nobody is connected to")

    return Source(nobody, none, {"agents": name})


def cell(rate: int, value: float) -> Cell:
    return a_cell(
        parameters=Parameters(instrument="iperf3", offered_bits_per_second=rate),
        started_at="2026-07-01T00:00:00.000+00:00",
        values={"bits_per_second": Summary(mean=value, count=1)},
    )


async def test_another_process_goes_on_where_this_one_ended(store: Store) -> None:
    record = Record(store, source("x"), Allowance(10**9))
    assert await record.open(take_over=False) == (Ledger(), ())
    await record.with_nodes(NODES, frozenset())
    ledger = Ledger().reserved(700, 1_782_864_000.5)
    await record.spend(ledger)
    await record.keep(cell(10, 1.0), None)
    await record.keep(cell(20, 2.0), cell(10, 1.0).key)
    # It is killed: nothing is closed.
    again = Record(store, source("x"), Allowance(10**9))
    found, cells = await again.open(take_over=False)
    assert found == ledger
    assert [one.values["bits_per_second"].mean for one in cells if one.values["bits_per_second"]] == [2.0]
    stored = await store.load(again.run_id)
    assert (stored.run.state, stored.run.name, [node.name for node in stored.nodes]) == (
        "running",
        "background bandwidth",
        ["a", "b"],
    )
    # A node that is gone stays while it has cells.
    await again.with_nodes(NODES[:1], frozenset({"a", "b"}))
    assert [node.name for node in (await store.load(again.run_id)).nodes] == ["a", "b"]
    await again.close()
    # Another mesh has another run.
    other = Record(store, source("y"), Allowance(10**9))
    assert await other.open(take_over=False) == (Ledger(), ())
    await other.spend(Ledger(1, 1.0))
    await other.close()


async def test_a_run_that_was_deleted_is_begun_anew(store: Store) -> None:
    record = Record(store, source("x"), Allowance(10**9))
    await record.open(take_over=False)
    await store.delete(record.run_id)
    with pytest.raises(RunNotFoundError):
        await record.spend(Ledger(5, 1.0))
    assert await record.open(take_over=False) == (Ledger(), ())
    await record.spend(Ledger(5, 1.0))
    await record.close()
