"""What a person reads after a sweep, at 80 columns and without colour unless said otherwise."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from netmesh_controller.mesh.document import (
    Cell,
    Host,
    Hosts,
    Node,
    Parameters,
    PlanRecord,
    Reason,
    Run,
    RunDocument,
    Summary,
    Witness,
)
from netmesh_controller.mesh.matrix import expected_pairs, matrices, tables
from netmesh_controller.mesh.table import from_document
from netmesh_controller.surfaces.terminal.closing import show_closing
from netmesh_controller.surfaces.terminal.matrices import show_matrices
from netmesh_controller.surfaces.terminal.names import shorten, without_domain
from netmesh_controller.surfaces.terminal.units import digits, scale_for

Measure = Callable[[int, int], "float | str | None"]  # places of source and target: a number, a reason, or no cell
IPERF3 = Parameters(instrument="iperf3")


def document(
    count: int, measure: Measure, name: str = "node-{}", zones: int = 0, test: str = "tcp-bandwidth"
) -> RunDocument:
    value = "bits_per_second" if test.endswith("bandwidth") else "round_trip_seconds"
    nodes = [Node(name=name.format(i + 1), zone=f"zone-{i * zones // count}" if zones else None) for i in range(count)]
    cells: list[Cell] = []
    for i, source in enumerate(nodes):
        for j, target in enumerate(nodes):
            got = measure(i, j)
            if got is None:
                continue
            reason = Reason(code=got, message=f"It ended in {got}.") if isinstance(got, str) else None
            values = {} if isinstance(got, str) else {value: Summary(mean=got)}
            host = Host(shared_host=True)
            cells.append(
                Cell(
                    path="pod-to-pod",
                    test=test,
                    source=source.name,
                    target=target.name,
                    repeat=1,
                    attempt=1,
                    parameters=IPERF3,
                    outcome="failed" if reason else "measured",
                    reason=reason,
                    values=values,
                    hosts=Hosts(source=host, target=host),
                )
            )
    return RunDocument(
        run=Run(
            id="01jd7k3v9x",
            state="complete",
            started_at="2026-01-01T00:00:00Z",
            finished_at="2026-01-01T00:01:44Z",
            netmesh_version="0.1.0",
            plan=PlanRecord(),
        ),
        nodes=nodes,
        cells=cells,
        matrices=matrices(nodes, cells, expected_pairs(cell.key for cell in cells)),
    )


def show(console: Console, shown: RunDocument, values: tuple[str, ...] = (), by: str | None = None) -> None:
    show_matrices(console, shown.nodes, [from_document(matrix) for matrix in shown.matrices], shown.cells, values, by)


def rendered(shown: RunDocument, width: int = 80, values: tuple[str, ...] = (), by: str | None = None) -> str:
    file = io.StringIO()
    show(Console(file=file, width=width), shown, values, by)
    text = file.getvalue()
    assert "\x1b" not in text
    assert all(len(line) <= width for line in text.splitlines()), text
    return text


def rows(text: str, head: str = "node-") -> dict[str, list[str]]:
    """The lines of the matrix: what stands in them, by node."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.match(rf"  ({head}\d+)  +(.*)", line):
            found.setdefault(match[1], match[2].split())
    return found


def fast(source: int, target: int) -> float:
    return 30.1e9 if source == target else 941.2e6 + source * 1e6


def with_gaps(source: int, target: int) -> float | str:
    gaps = {(0, 1): "timeout", (2, 1): "timeout", (3, 0): "rate_not_supported", (2, 2): "agent_lost"}
    return gaps.get((source, target), fast(source, target))


def test_four_nodes_in_one_unit() -> None:
    text = rendered(document(4, fast))
    assert "tcp-bandwidth, received, Mbit/s" in text
    assert rows(text) == {
        "node-1": ["[30100]", "941", "941", "941"],
        "node-2": ["942", "[30100]", "942", "942"],
        "node-3": ["943", "943", "[30100]", "943"],
        "node-4": ["944", "944", "944", "[30100]"],
    }
    assert "(same node)" in text
    columns = {line.index("node-2") + len("node-2") for line in text.splitlines() if "node-1   " in line[8:]}
    assert {line.index("941") + 3 for line in text.splitlines() if line.startswith("  node-1 ")} == columns


def test_every_gap_has_its_reason_and_no_number() -> None:
    text = rendered(document(4, with_gaps))
    grid = rows(text)
    assert grid["node-1"] == ["[30100]", "timeout", "941", "941"]
    assert grid["node-3"] == ["943", "timeout", "[lost]", "943"]
    assert grid["node-4"][0:2] == ["no", "rate"]
    assert "timeout (2 cells): for example node-1 -> node-2: It ended in timeout" in text
    assert "lost = agent_lost (1 cell): It ended in agent_lost" in text
    assert "no rate = rate_not_supported (1 cell): It ended in rate_not_supported" in text


def test_unknown_is_never_zero() -> None:
    text = rendered(document(4, lambda source, _target: "timeout" if source == 0 else "unreachable"))
    assert {entry for row in rows(text).values() for entry in row} == {"timeout", "[timeout]", "unreach", "[unreach]"}
    assert "unreach = unreachable (12 cells)" in text
    assert not re.search(r"(?<![\w-])0(?![\w-])", text)
    assert "median 0" not in text


def test_one_reason_of_all_pairs_is_no_matrix() -> None:
    text = rendered(document(4, lambda _source, _target: "unreachable"))
    assert rows(text) == {}
    assert "unreachable (16 cells): for example node-1: It ended in unreachable" in text
    assert not re.search(r"(?<![\w-])0(?![\w-])", text)


def test_a_measured_zero_is_a_zero() -> None:
    text = rendered(document(2, lambda source, target: 0.0 if source != target else 1e9))
    assert rows(text)["node-1"][1] == "0"


def test_values_that_a_tool_does_not_give_say_so() -> None:
    text = rendered(document(2, fast))
    said = " ".join(text.split())
    assert "no number, not_supported (4): retransmits; round trip; sender CPU, tool; receiver CPU, tool" in said
    assert "no number, shared_host (4): sender CPU, host; receiver CPU, host" in said
    also = rendered(document(2, fast), values=("source_cpu_seconds_per_gigabyte",))
    assert "shared_host (4 cells): another test ran on the same kernel" in also


def test_pairs_that_a_sample_leaves_out() -> None:
    text = rendered(document(4, lambda source, target: fast(source, target) if (source + target) % 2 else None))
    assert rows(text)["node-1"] == ["[-]", "941", "-", "941"]
    assert "- = not_scheduled (8 cells): the plan left this pair out" in text


def test_a_series_of_the_diagonal_only_is_a_list() -> None:
    text = rendered(document(3, lambda source, target: 2e9 if source == target else None))
    assert "same node: node-1 2.00, node-2 2.00, node-3 2.00" in text
    assert not rows(text)


def test_names_are_shortened_only_where_it_is_needed_and_said() -> None:
    assert "names without" not in rendered(document(8, fast))
    text = rendered(document(10, lambda _source, _target: 941e6), width=80)
    assert "columns: names without 'node-' in front" in text
    assert len(rows(text)["node-10"]) == 10


def test_a_domain_is_said_once() -> None:
    text = rendered(document(4, with_gaps, "ip-10-0-1-{}.eu-central-1.compute.internal"))
    assert text.count("compute.internal") == 1
    assert rows(text, "ip-10-0-1-")["ip-10-0-1-1"] == ["[30100]", "timeout", "941", "941"]


def test_long_names_that_share_nothing_are_numbered() -> None:
    names = ["alpha", "bravo", "charlie", "delta"]
    shown = document(4, fast)
    renamed = RunDocument.model_validate_json(
        re.sub(r"node-(\d)", lambda m: names[int(m[1]) - 1] * 6, shown.model_dump_json())
    )
    text = rendered(renamed)
    assert "columns have the numbers of the rows" in text
    assert re.search(r"^  1  (alpha){6} +\[30100\] +941 +941 +941$", text, re.MULTILINE)


@pytest.mark.parametrize(("count", "width"), [(40, 80), (40, 120), (24, 80)])
def test_many_nodes_are_summarised(count: int, width: int) -> None:
    def one_bad(source: int, target: int) -> float | str:
        if (source, target) == (4, 7):
            return 50e6
        return "timeout" if (source, target) == (1, 2) else fast(source, target)

    text = rendered(document(count, one_bad, zones=2), width)
    assert f"The matrix of {count} nodes is wider than {width} columns" in text
    assert not rows(text)
    assert "min 50.0 node-5 -> node-8" in text
    worst = text.splitlines()[text.splitlines().index("  worst 10 pairs") + 1 :]
    assert re.fullmatch(r" +50\.0  0\.05 of the median +node-5 -> node-8", worst[0])
    assert "median by zones" in text
    assert re.search(r"^  zone-1 +\d+ +\d+$", text, re.MULTILINE)
    assert "timeout (1 cell): It ended in timeout" in text


def test_worst_latency_is_the_longest() -> None:
    shown = document(30, lambda source, target: 9e-3 if (source, target) == (2, 1) else 1e-4, test="tcp-latency")
    lines = rendered(shown).splitlines()
    assert "tcp-latency, round trip, µs" in lines[0]
    assert re.fullmatch(r" +9000  90\.00 of the median +node-3 -> node-2", lines[lines.index("  worst 10 pairs") + 1])


def test_medians_by_a_label_stand_below_the_matrix() -> None:
    shown = document(4, lambda s, t: 1e9 if (s < 2) == (t < 2) else 4e8, zones=2)
    racks = ("r1", "r1", "r2", None)
    nodes = [
        node.model_copy(update={"labels": {"rack": rack} if rack else {}})
        for node, rack in zip(shown.nodes, racks, strict=True)
    ]
    labelled = shown.model_copy(update={"nodes": nodes})
    lines = rendered(labelled, by="rack").splitlines()
    at = lines.index("  median by label rack, from row to column")
    assert [line.split() for line in lines[at + 1 : at + 4]] == [
        ["r1", "r2"],
        ["r1", "1000", "400"],
        ["r2", "400", "none"],
    ]
    assert "  median by zones, from row to column" in rendered(labelled, by="zone").splitlines()
    assert "median by" not in rendered(labelled)


def test_targets_outside_of_the_mesh_have_columns_of_their_own() -> None:
    nodes = [Node(name=f"node-{number}.example") for number in (1, 2)]
    cells = [
        cell.model_copy(update={"path": "pod-to-external", "test": "tcp-connect", "target": "gateway"})
        for cell in document(2, lambda source, _: "refused" if source else 3e-4, "node-{}.example").cells
        if cell.target == "node-2.example"
    ]
    cells = [
        cell.model_copy(update={"values": {"connect_seconds": Summary(mean=3e-4)} if not cell.reason else {}})
        for cell in cells
    ]
    file = io.StringIO()
    show_matrices(Console(file=file, width=80), nodes, tables(nodes, cells), cells)
    text = file.getvalue()
    assert text.splitlines()[2].split() == ["gateway"]
    assert rows(text) == {"node-1": ["300"], "node-2": ["refused"]}
    assert "refused (1 cell): It ended in refused" in text


def test_an_ascii_terminal_gets_ascii() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show(Console(file=file, width=80), document(3, lambda _s, _t: 5e-5, test="tcp-latency"))
    file.flush()
    file.seek(0)
    assert "round trip, us" in file.read()


def coloured(shown: RunDocument, no_color: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="256", no_color=no_color)
    show(console, shown)
    return file.getvalue()


def test_bad_is_orange_worst_is_bold_and_noise_has_no_colour() -> None:
    numbers = {(0, 1): 300e6, (1, 0): 600e6, (1, 2): 2e9}
    text = coloured(document(4, lambda s, t: numbers.get((s, t), fast(s, t))))
    assert "\x1b[1;38;5;208m300 \x1b[0m" in text
    assert "\x1b[38;5;208m600 \x1b[0m" in text
    assert "\x1b[38;5;33m2000 \x1b[0m" in text
    assert "\x1b[2m[30100]\x1b[0m" in text
    assert "orange: worse" in text
    calm = coloured(document(4, fast))
    assert "38;5" not in calm
    assert "orange" not in calm


def test_no_color_is_respected() -> None:
    text = coloured(document(4, with_gaps), no_color=True)
    assert "38;5" not in text
    assert "orange" not in text


def test_what_tools_printed_does_not_steer_the_terminal() -> None:
    shown = document(2, with_gaps)
    cells = [
        c.model_copy(update={"reason": Reason(code="timeout", message="a\x1b[31m\r\nb")}) if c.reason else c
        for c in shown.cells
    ]
    text = coloured(shown.model_copy(update={"cells": cells}), no_color=True)
    assert "timeout (1 cell): a [31m b" in text


def closing(shown: RunDocument, planned: int | None = None, output: str | None = None) -> str:
    file = io.StringIO()
    show_closing(Console(file=file, width=80), shown.run, shown.cells, planned, output)
    return file.getvalue()


def test_the_closing_lines_of_a_whole_run() -> None:
    assert closing(document(4, fast), output="run.json").splitlines() == [
        "complete: 16 of 16 cells measured, no gaps, 1 min 44 s",
        "Run 01jd7k3v9x is stored and written to run.json.",
    ]


def test_how_long_a_run_took_is_not_told_by_a_clock_that_was_set() -> None:
    shown = document(4, fast)
    back = shown.run.model_copy(update={"finished_at": "1999-12-31T00:00:00Z"})
    assert closing(shown.model_copy(update={"run": back})).splitlines()[0].endswith("no gaps")
    counted = back.model_copy(update={"facts": {**back.facts, "seconds": 61.5}})
    assert closing(shown.model_copy(update={"run": counted})).splitlines()[0].endswith("no gaps, 1 min 02 s")


def test_the_closing_lines_tell_the_signs_of_the_witness() -> None:
    shown = document(2, fast)
    seen = [Witness(verdict="marked", signs=["throttled", "busy_core"]), Witness(verdict="marked", signs=["throttled"])]
    cells = [cell.model_copy(update={"witness": one}) for cell, one in zip(shown.cells, seen, strict=False)]
    text = " ".join(closing(shown.model_copy(update={"cells": [*cells, *shown.cells[2:]]})).split())
    assert "Signs of a busy host while they were measured, in 2 cells: throttled 2, busy core 1." in text


def test_the_closing_lines_of_a_run_with_gaps() -> None:
    text = closing(document(4, with_gaps), planned=20)
    assert "12 of 20 cells measured, 8 gaps" in text
    assert "--output FILE" in text
    assert text.splitlines()[-1].endswith("netmesh-controller sweep --resume 01jd7k3v9x")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9.996, "10.0"),
        (999.6, "1000"),
        (30123, "30100"),
        (0.9414, "0.941"),
        (0.00123, "0.00123"),
        (1.2e-9, "1.20e-09"),
        (-4.567, "-4.57"),
    ],
)
def test_three_significant_digits(number: float, text: str) -> None:
    assert digits(number) == text


def test_one_unit_for_all_is_chosen_by_the_middle() -> None:
    assert scale_for("bits_per_second", "bit/s", [9e8, 9e8, 3e10]).unit == "Mbit/s"
    assert scale_for("round_trip_seconds", "s", [5e-5, 5e-5, 2.0]).unit == "µs"
    assert scale_for("loss_ratio", "1", [0.02]).full(0.02) == "2.00 %"
    assert scale_for("source_cpu_seconds_per_gigabyte", "s/GB", [0.5]).full(0.5) == "500 CPU ms/GB"
    assert scale_for("retransmits", "1", [3.0]).full(3.0) == "3"
    assert scale_for("bits_per_second", "bit/s", []).text(0) == "0"


def test_shortening_keeps_names_apart() -> None:
    assert shorten(["node-10", "node-11"]).names == ("10", "11")
    assert shorten(["a.x.y", "b.x.y"]).names == ("a", "b")
    assert shorten(["node-", "node-1"]).names == ("node-", "node-1")
    assert shorten(["one"]).names == ("one",)
    assert without_domain(["a-1.x.y", "a-2.x.y"]).names == ("a-1", "a-2")
    assert without_domain(["pool-1-abc", "pool-2-abc"]).names == ("pool-1-abc", "pool-2-abc")


def test_an_mtu_is_exact() -> None:
    assert scale_for("mtu_bytes", "B", [1472.0, 9000.0]).full(1472.0) == "1472 B"


def test_a_matrix_that_does_not_fit_is_drawn_as_a_map() -> None:
    def shaped(source: int, target: int) -> float | str:
        if (source, target) == (3, 9):
            return "timeout"
        if source == target:
            return 30e9
        return {1: 200e6, 2: 500e6, 5: 800e6, 7: 2e9}.get(source, 941e6)

    text = rendered(document(30, shaped))
    lines = [line.split() for line in text.splitlines()]
    letters = {line[0]: line[1:] for line in lines if len(line) == 31}
    assert list(letters) == [str(number) for number in range(1, 31)]
    for row, number in (("2", "#"), ("3", "O"), ("6", "o"), ("8", "+"), ("12", ".")):
        place = int(row) - 1
        assert letters[row] == [number] * place + ["\\"] + [number] * (29 - place)
    assert letters["4"][9] == "x"
    assert "names without 'node-' in front" in text
    assert "sends    node-2 200 (0.21), node-3 500 (0.53), node-6 800 (0.85)" in text
    assert "receives" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_map_higher_than_a_screen_is_left_out() -> None:
    text = rendered(document(70, fast), width=150)
    assert "same node, columns" not in text
    assert "The matrix of 70 nodes is wider than 150 columns" in text


def test_nodes_that_are_as_good_as_others_are_not_named_worst() -> None:
    assert "worst nodes" not in rendered(document(30, lambda _source, target: 941e6 + target * 1e6))
