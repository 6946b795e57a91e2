"""What a person reads before and during a sweep."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Agent, Cell, Node, Parameters, Reason
from netmesh_controller.mesh.estimate import Estimate
from netmesh_controller.mesh.outline import outline_of
from netmesh_controller.mesh.plan import make_plan
from netmesh_controller.mesh.progress import Progress, Running
from netmesh_controller.surfaces.terminal.estimate import show_estimate, show_remarks
from netmesh_controller.surfaces.terminal.progress import FAILURES_SHOWN, ProgressDisplay, picture

BOTH = {"iperf3": "3.12", "qperf": "0.4.11"}


def node(name: str, tools: dict[str, str] | None = None, zone: str | None = None) -> Node:
    facts: dict[str, Any] = {"tools": BOTH if tools is None else tools, "mtu_bytes": 1500}
    agents = [Agent(role=role, address="10.0.0.1", facts=facts) for role in ("pod", "peer")]
    return Node(name=name, zone=zone, agents=agents)


def announced(nodes: list[Node], cost: Estimate | None = None, **asked: Any) -> str:
    file = io.StringIO()
    show_estimate(Console(file=file, width=80), outline_of(make_plan(ask_from(asked), nodes), cost))
    text = file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "\x1b" not in text
    return " ".join(text.split())


def test_the_estimate_says_what_and_how_long() -> None:
    cost = Estimate(32, 32, 178.0, 187.0, None, "as much as goes through, and the rate of the links is not known")
    text = announced([node(f"node-{n}") for n in range(1, 5)], cost)
    assert "nodes 4: node-1, node-2, node-3, node-4" in text
    assert "tests tcp-bandwidth by iperf3, tcp-latency by qperf; pod-to-pod" in text
    assert "plan 32 measurements, 5 s each (iperf3 after 1 s of warm-up), pairs all" in text
    assert "time about 3 min 07 s, at least 2 min 58 s" in text
    assert "traffic unknown: as much as goes through" in text
    assert "gaps" not in text


def test_the_estimate_of_a_plan_by_itself() -> None:
    text = announced([node("node-1"), node("node-2")], tests="udp-bandwidth", rate="20M", repeat=2)
    assert "2 repeats" in text
    assert "MB, at the asked rate" in text


def test_gaps_known_beforehand_are_named_with_their_reason() -> None:
    text = announced([node("node-1"), node("node-2"), node("node-3", {"iperf3": "3.12"})])
    assert "gaps 5 cells cannot be measured" in text
    assert "tool_missing (5): node-3 has no qperf" in text


def test_nothing_to_measure_has_no_time_and_no_traffic() -> None:
    text = announced([node("node-1", {})])
    assert "nothing to measure" in text
    assert "traffic" not in text
    assert "0 s" not in text


def test_many_nodes_are_not_all_listed() -> None:
    text = announced([node(f"node-{n}", zone=f"z{n % 3}") for n in range(1, 41)], pairs="sample:2")
    assert "nodes 40 in 3 zones: node-1, node-2, node-3, node-4, ..., node-40" in text
    assert "pairs sample:2" in text


def at(seconds: float, running: int = 2, left: float | None = 100.0) -> Progress:
    pairs = tuple(Running(f"node-{n}", f"node-{n + 1}", "tcp-bandwidth", 2.0, 6.0, 9.41e8) for n in range(running))
    return Progress(32, 8, 1, pairs, seconds, left)


def gap(message: str = "iperf3 said nothing for 12 s.") -> Cell:
    return Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source="node-1",
        target="node-2",
        repeat=1,
        attempt=3,
        parameters=Parameters(instrument="iperf3"),
        outcome="failed",
        reason=Reason(code="timeout", message=message),
    )


def test_plain_output_has_a_line_every_ten_seconds_and_one_a_gap() -> None:
    file = io.StringIO()
    with ProgressDisplay(Console(file=file, width=80)) as display:
        for second in range(35):
            display.update(at(float(second)))
        display.failed(gap("a\x1b[2Jb"))
    lines = file.getvalue().splitlines()
    assert lines == [
        *(f"8 of 32 cells, 1 failed, 2 running, {gone} s gone, about 1 min 40 s left" for gone in (10, 20, 30)),
        "gap  tcp-bandwidth pod-to-pod node-1 -> node-2: timeout, a [2Jb",
    ]


def test_an_unknown_time_left_is_said_to_be_unknown() -> None:
    file = io.StringIO()
    with ProgressDisplay(Console(file=file, width=80)) as display:
        display.update(at(10.0, left=None))
    assert file.getvalue().endswith("time left unknown\n")


def test_a_flood_of_gaps_is_cut() -> None:
    file = io.StringIO()
    with ProgressDisplay(Console(file=file, width=80)) as display:
        for _ in range(100):
            display.failed(gap())
    lines = file.getvalue().splitlines()
    assert len(lines) == FAILURES_SHOWN + 1
    assert "counted" in lines[-1]


def drawn(progress: Progress, width: int, height: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, height=height).print(picture(progress, width, height))
    return file.getvalue().splitlines()


def test_the_picture_fits_the_terminal() -> None:
    for running in (0, 1, 4, 200):
        for width, height in ((80, 24), (120, 40), (80, 8)):
            lines = drawn(at(20.0, running), width, height)
            assert len(lines) <= height - 1
            assert all(len(line) <= width for line in lines)
    lines = drawn(at(20.0, 200), 80, 24)
    assert "8/32 cells  1 failed  20.0 s gone" in lines[0] or "8/32 cells  1 failed  20 s gone" in lines[0]
    assert lines[1].split() == ["node-0", "->", "node-1", "tcp-bandwidth", "2", "of", "6", "s", "941", "Mbit/s"]
    assert lines[-1] == "and 189 more"


def test_a_rate_that_nobody_told_is_not_shown() -> None:
    progress = Progress(2, 0, 0, (Running("node-1", "node-1", "tcp-latency", 1.0, 5.0),), 1.0, None)
    lines = drawn(progress, 80, 24)
    assert lines[1].split() == ["node-1", "(same", "node)", "tcp-latency", "1", "of", "5", "s"]


def test_a_terminal_is_left_as_it_was() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, force_interactive=True)
    with ProgressDisplay(console) as display:
        display.update(at(1.0))
        display.failed(gap())
    text = file.getvalue()
    assert "8/32 cells" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("8/32 cells")


def test_all_of_it_as_json() -> None:
    running = tuple(Running(name, "b", "tcp-latency", 1.0, 5.0, rate) for name, rate in (("a", None), ("c", 1e9)))
    progress = Progress(9, 2, 1, running, 4.0, None)
    assert json.loads(json.dumps(progress.as_json())) == json.loads(json.dumps(asdict(progress)))


@pytest.mark.parametrize("terminal", [True, False])
def test_remarks_break_between_words_and_keep_what_is_in_brackets(terminal: bool) -> None:
    sentence = "not idle before the first test: node-1 (2.0 of 2 cores), node-2 (2.0 of 2 cores), [fd00::1] (1.9 of 2)"
    file = io.StringIO()
    show_remarks(Console(file=file, width=80, force_terminal=terminal, color_system=None), [sentence])
    lines = file.getvalue().splitlines()
    assert " ".join(lines) == sentence
    assert (max(len(line) for line in lines) <= 80) == terminal
