"""The last bandwidth of each pair: a figure or a reason, its age, and what takes the place of what."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.support.stored import a_cell

from netmesh_controller.mesh.background.figures import Figures, copied, facts_of, ledger_of, table
from netmesh_controller.mesh.background.turns import DAY_SECONDS, Allowance, Ledger
from netmesh_controller.mesh.document import Cell, Node, Parameters, Reason, Summary
from netmesh_controller.mesh.probing.live import Standing

AT = 1_782_864_000.0  # 2026-07-01T00:00:00Z
NAMES = ("a", "b", "c")
NODES = {name: Node(name=name, facts={"line_rate_bits_per_second": 10**9}) for name in NAMES}


def cell(source: str, target: str, minute: int, value: float | None, code: str = "", rate: int = 10**8) -> Cell:
    return a_cell(
        source,
        target,
        parameters=Parameters(instrument="iperf3", streams=1, offered_bits_per_second=rate),
        outcome="failed" if value is None else "measured",
        reason=Reason(code=code, message="said") if value is None else None,
        started_at=f"2026-07-01T00:{minute:02}:00.000+00:00",
        values={} if value is None else {"bits_per_second": Summary(mean=value, count=1)},
    )


def standing(**missing: Reason) -> Standing:
    return Standing(NAMES, (None,) * 3, np.ones((3, 3), dtype=bool), missing)


def test_a_table_has_figures_reasons_and_ages() -> None:
    figures = Figures([cell("a", "b", 0, 9e7), cell("b", "a", 1, None, "tool_missing")])
    gone = Reason(code="agent_lost", message="gone")
    found, ages = table(figures.of(NAMES), standing(c=gone), NODES, Allowance(10**12), Ledger(), AT + 120)
    assert found.document().values == [[None, 9e7, None], [None] * 3, [None] * 3]
    assert found.document().reasons == [
        ["not_applicable", None, "agent_lost"],
        ["tool_missing", "not_applicable", "agent_lost"],
        ["agent_lost", "agent_lost", "not_applicable"],
    ]
    assert (ages[0, 1], ages[1, 0]) == (120, 60)
    assert np.isnan(ages).sum() == 7
    assert found.series.parameters.offered_bits_per_second == 10**8
    assert figures.of(NAMES).at[0, 1] == AT
    assert figures.of(NAMES).at[2, 1] == -math.inf


@pytest.mark.parametrize(
    ("allowance", "nodes", "ledger", "code"),
    [
        (Allowance(10**12), NODES, Ledger(), "not_scheduled"),
        (Allowance(10**12), NODES, Ledger(10**12, AT), "budget"),
        # One test takes more than a day has.
        (Allowance(10**6), NODES, Ledger(), "budget"),
        (Allowance(10**12), {name: Node(name=name) for name in NAMES}, Ledger(), "not_supported"),
        (Allowance(10**12, rate=10**8), {name: Node(name=name) for name in NAMES}, Ledger(), "not_scheduled"),
        # Who is there has not been asked yet.
        (Allowance(10**12), {}, Ledger(), "not_scheduled"),
    ],
)
def test_why_a_pair_was_never_tested(allowance: Allowance, nodes: dict[str, Node], ledger: Ledger, code: str) -> None:
    found, ages = table(Figures().of(NAMES), standing(), nodes, allowance, ledger, AT + 1)
    assert {found.reason(row, column) for row in range(3) for column in range(3) if row != column} == {code}
    assert np.isnan(ages).all()


def test_the_later_takes_the_place_of_the_earlier() -> None:
    figures = Figures()
    first, second = cell("a", "b", 1, 5e7, rate=10**8), cell("a", "b", 2, 6e7, rate=2 * 10**8)
    assert figures.add(first) is None
    # Under another rate it has another key: the old cell is to go.
    assert figures.add(second) == first.key
    assert figures.add(first) is None
    found, _ = table(figures.of(NAMES), standing(), NODES, Allowance(10**12), Ledger(), AT + 600)
    assert found.values[0, 1] == 6e7
    # A reason of the moment leaves the figure as it is; that it failed does not.
    assert figures.add(cell("a", "b", 3, None, "busy", rate=2 * 10**8)) is None
    assert table(figures.of(NAMES), standing(), NODES, Allowance(10**12), Ledger(), AT + 600)[0].values[0, 1] == 6e7
    figures.add(cell("a", "b", 4, None, "unreachable", rate=2 * 10**8))
    assert (
        table(figures.of(NAMES), standing(), NODES, Allowance(10**12), Ledger(), AT + 600)[0].reason(0, 1)
        == "unreachable"
    )


def test_rates_that_differ_are_no_parameter_of_all() -> None:
    figures = Figures([cell("a", "b", 0, 9e7, rate=10**8), cell("b", "a", 1, 8e7, rate=2 * 10**8)])
    found, _ = table(figures.of(NAMES), standing(), NODES, Allowance(10**12), Ledger(), AT + 120)
    assert found.series.parameters == Parameters(instrument="iperf3", streams=1, offered_bits_per_second=None)


def test_what_is_old_and_of_nodes_that_are_gone_is_forgotten() -> None:
    old, gone, new = cell("a", "b", 0, 9e7), cell("a", "c", 0, 9e7), cell("c", "b", 30, 9e7)
    figures = Figures([old, gone, new])
    assert figures.forget(frozenset({"a", "b"}), AT + 600) == [gone.key]
    assert figures.names == {"a", "b", "c"}
    assert figures.forget(frozenset({"a", "b"}), AT + DAY_SECONDS) == [new.key]
    assert figures.names == {"a", "b"}
    assert figures.of(NAMES).tried.sum() == 1


def test_names_that_change_keep_their_figures() -> None:
    figures = Figures([cell("a", "b", 0, 9e7), cell("c", "b", 1, 8e7)])
    kept = copied(figures.of(NAMES))
    assert figures.of(("c", "b")).values.tolist()[0][1] == 8e7
    figures.add(cell("b", "c", 2, 7e7))
    assert figures.of(("c", "b")).values.tolist()[1][0] == 7e7
    # What was copied changes no more.
    assert kept.tried.sum() == 2
    assert figures.of(NAMES).tried.sum() == 3


def test_a_ledger_goes_through_a_runs_facts() -> None:
    ledger = Ledger().reserved(12345, AT + 0.25)
    assert ledger_of({"other": 1, **facts_of(ledger)}) == ledger
    assert ledger_of(facts_of(Ledger())) == Ledger()
