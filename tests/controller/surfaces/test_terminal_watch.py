"""The watched mesh on a terminal of any size, with a mesh of any size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netmesh_controller.surfaces.terminal.watch import lines
from netmesh_controller.surfaces.terminal.watch.bandwidths import Bandwidths, bandwidths_of
from netmesh_controller.surfaces.terminal.watch.picture import Screen, percent, picture
from netmesh_controller.surfaces.terminal.watch.seen import Seen, moment, seen
from netmesh_controller.surfaces.terminal.watch.squares import BAD, GAP, NOTHING, USUAL, VERY_BAD, ranks, slowness

ENDED = "2026-11-25T20:01:00Z"


def mesh(
    size: int, *, slow: tuple[int, int] | None = None, lossy: tuple[int, int] | None = None, lost: int | None = None
) -> Seen:
    """50 µs within a zone, 1 ms between two; the listed order is not that of people."""
    order = sorted(range(size), key=lambda place: f"node-{place + 1}")
    names = [f"node-{place + 1}" for place in order]

    def time(row: int, column: int) -> float | None:
        if row == column or lost in (row, column):
            return None
        near = row % 3 == column % 3
        return (50e-6 if near else 1e-3) * (4 if (row, column) == slow else 1)

    def answer(statistic: str, values: list[list[float | None]]) -> dict[str, Any]:
        reasons = [
            ["not_applicable" if r == c else "agent_lost" if lost in (r, c) else None for c in order] for r in order
        ]
        return {
            "statistic": statistic,
            "window_seconds": 60,
            "window_started_at": "2026-11-25T20:00:00Z",
            "window_ended_at": ENDED,
            "nodes": [
                {
                    "name": name,
                    "zone": "abc"[place % 3],
                    "reason": "agent_lost" if place == lost else None,
                    "message": f"{name}: nobody listens" if place == lost else None,
                    "own_traffic": False,
                    "signs": [],
                }
                for name, place in zip(names, order, strict=True)
            ],
            "sources": names,
            "values": values,
            "reasons": reasons,
            "sent": [[None if code else 60 for code in row] for row in reasons],
        }

    times = [[time(row, column) for column in order] for row in order]
    losses: list[list[float | None]] = [
        [None if r == c or lost in (r, c) else 0.5 if (r, c) == lossy else 0.0 for c in order] for r in order
    ]
    return seen(answer("p50", times), answer("mean", losses))


def event(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "kind": "slow_node",
        "since": "2026-11-25T20:00:20Z",
        "opened_at": "2026-11-25T20:00:30Z",
        "changed_at": None,
        "closed_at": None,
        "cause": None,
        "finding": {"sentence": "node-5 is slow with the others: 4.32 ms where 57.5 µs are usual. " * 3},
    }


def test_people_s_order_and_what_is_remarkable_beside_the_pair_s_own_zones() -> None:
    one = mesh(12, slow=(0, 3), lossy=(1, 2), lost=11)
    assert one.nodes[:4] == ("node-1", "node-4", "node-7", "node-10")
    levels = ranks(one, "p50")
    # 200 µs within a zone are slow, and 1 ms between two zones is usual.
    assert (levels[0, 1], levels[1, 0], levels[0, 4], levels[0, 0]) == (VERY_BAD, USUAL, USUAL, NOTHING)
    assert (levels[0, -1], levels[-1, 0]) == (GAP, GAP)
    lossy = one.nodes.index("node-2"), one.nodes.index("node-3")
    losses = ranks(one, "loss")
    assert losses[lossy] == VERY_BAD
    assert (losses == VERY_BAD).sum() == 1
    assert not (losses == BAD).any()
    assert one.gaps == {"agent_lost": 22}
    assert one.measured == 11 * 10
    assert [(pair.source, pair.target) for pair in one.worst(one.losses, 5, above=0.0)] == [("node-2", "node-3")]
    assert one.loss_ratio == pytest.approx(0.5 / 110)


@pytest.mark.parametrize("size", [2, 6, 40, 90, 300])
@pytest.mark.parametrize(("width", "height"), [(40, 12), (80, 24), (120, 40), (300, 90)])
def test_a_picture_fits_its_screen_and_shows_the_bad_pair(size: int, width: int, height: int) -> None:
    one = mesh(size, slow=(0, 1))
    for opened in ([], [event(1)], [event(number) for number in range(40)]):
        for away in ("", "the controller cannot be reached: no route to it"):
            screen = Screen("http://controller:9412", seen=one, events=opened, away=away, answered=moment(ENDED))
            drawn = picture(screen, width, height, moment(ENDED) + 5)
            assert len(drawn) == height
            assert max(line.cell_len for line in drawn) <= width
            plain = "\n".join(line.plain for line in drawn)
            assert ("NO ANSWER" in plain) == bool(away)
            assert ("no event is open" in plain) == (not opened)
            assert "node-1 -> node-2" in plain
    if size > 6 and height >= 40:
        # A letter a pair or a block: somewhere the slow pair's letter, and nowhere else.
        screen = Screen("here", seen=one)
        rows = [line.plain for line in picture(screen, width, height, moment(ENDED)) if "usual" not in line.plain]
        body = rows[next(n for n, line in enumerate(rows) if "from row to column" in line) + 1 :]
        assert sum(line.count("X") for line in body) <= 1
        assert "X" in "".join(body) or "4.00" in "".join(body)


def test_a_screen_without_a_window_says_what_is_waited_for() -> None:
    drawn = picture(Screen("lab 2", waiting="The first window ends in some seconds."), 60, 10, 0.0)
    assert len(drawn) == 10
    assert "The first window ends" in "\n".join(line.plain for line in drawn)


def test_old_figures_are_told_as_old() -> None:
    drawn = picture(Screen("here", seen=mesh(3)), 80, 24, moment(ENDED) + 31)
    assert any("OLD" in line.plain for line in drawn)


def test_lines_say_the_same_to_people_and_to_programs() -> None:
    one = mesh(6, slow=(0, 1), lost=5)
    told = json.loads(lines.window_as_json(one, 2))
    assert (told["ended_at"], told["measured_pairs"], told["gaps"]) == (ENDED, 20, {"agent_lost": 10})
    assert told["slowest"][0] == {"source": "node-1", "target": "node-2", "seconds": 4e-3}
    assert told["most_lost"] == []
    said = lines.window_in_words(one, 2)
    assert "10 gaps (agent_lost 10)" in said
    assert "2 open events" in said
    assert lines.event_in_words(event(1), "opened").startswith("2026-11-25T20:00:30Z  OPENED slow_node")
    assert json.loads(lines.away(0.0, "gone", as_json=True))["what"] == "no_answer"


def test_checks_that_failed_are_told_with_why() -> None:
    def check(name: str, failed: int) -> dict[str, Any]:
        why = {"reason": "timeout", "message": "no answer within 2 s"} if failed else {"reason": None, "message": None}
        return {"node": "node-1", "check": name, "count": 6, "failed": failed, **why}

    checks = [check("api", 0), check("dns", 2), check("web", 6)]
    drawn = picture(Screen("here", seen=mesh(3), checks=checks), 100, 24, moment(ENDED) + 1)
    failed = [line.plain.strip() for line in drawn if "check" in line.plain]
    assert failed == [
        "check web at node-1: 6 of 6 failed, timeout: no answer within 2 s",
        "check dns at node-1: 2 of 6 failed, timeout: no answer within 2 s",
    ]
    told = json.loads(lines.window_as_json(mesh(3), 0, checks))
    assert (told["checks"], [one["check"] for one in told["checks_failing"]]) == (3, ["web", "dns"])
    assert "2 of 3 checks failing" in lines.window_in_words(mesh(3), 0, checks)
    well = picture(Screen("here", seen=mesh(3), checks=checks[:1]), 100, 24, moment(ENDED) + 1)
    assert any(line.plain == "1 check beside the probe: none failed" for line in well)
    assert not any("check" in line.plain for line in picture(Screen("here", seen=mesh(3)), 100, 24, moment(ENDED)))


@pytest.mark.parametrize(("ratio", "text"), [(0.0, "0 %"), (1e-6, "0.0001 %"), (0.012, "1.2 %"), (0.5, "50 %")])
def test_what_is_lost_is_never_shown_as_nothing(ratio: float, text: str) -> None:
    assert percent(ratio) == text


def bandwidths(size: int) -> Bandwidths:
    """10 Gbit/s within a zone, 1 Gbit/s between two, a tenth of it from node 1 to node 2; node 1 to itself, node 2 to 1
    and all of the last node have none.
    """
    order = sorted(range(size), key=lambda place: f"node-{place + 1}")

    def reason(row: int, column: int) -> str | None:
        if row == column:
            return "not_applicable"
        if size - 1 in (row, column):
            return "not_scheduled"
        return "tool_failed" if (row, column) == (1, 0) else None

    def value(row: int, column: int) -> float | None:
        if reason(row, column) is not None:
            return None
        return 1e8 if (row, column) == (0, 1) else 1e10 if row % 3 == column % 3 else 1e9

    def age(row: int, column: int) -> int | None:
        return None if reason(row, column) in ("not_applicable", "not_scheduled") else 60 + row

    return bandwidths_of(
        {
            "nodes": [{"name": f"node-{place + 1}", "zone": "abc"[place % 3]} for place in order],
            "values": [[value(row, column) for column in order] for row in order],
            "reasons": [[reason(row, column) for column in order] for row in order],
            "ages": [[age(row, column) for column in order] for row in order],
            "parameters": {"offered_bits_per_second": 10_000_000_000},
        },
        moment(ENDED),
    )


def test_bandwidth_is_told_with_its_gaps_its_slowest_pair_and_its_age() -> None:
    one = bandwidths(7)
    assert one.nodes[:4] == ("node-1", "node-4", "node-7", "node-2")
    levels = ranks_of(one)
    assert (levels["node-1", "node-2"], levels["node-1", "node-4"], levels["node-1", "node-5"]) == (
        VERY_BAD,
        USUAL,
        USUAL,
    )
    assert (levels["node-2", "node-1"], levels["node-7", "node-1"]) == (GAP, NOTHING)
    assert (one.measured, one.gaps, one.to_come) == (29, {"tool_failed": 1}, 12)
    assert one.oldest_seconds(moment(ENDED) + 5) == 70
    told = json.loads(lines.window_as_json(mesh(7), 0, (), one))["bandwidth"]
    assert told["slowest"][0] == {
        "source": "node-1",
        "target": "node-2",
        "bits_per_second": 1e8,
    }
    assert (told["measured_pairs"], told["untested_pairs"], told["oldest_seconds"]) == (29, 12, 65)
    said = "TCP bandwidth: 29 pairs measured, 1 gap (tool_failed), 12 not yet, median 1.00 Gbit/s, slowest "
    said += "node-1 -> node-2 0.100 Gbit/s, offered 10.0 Gbit/s, oldest 1 min 05 s"
    assert said in lines.window_in_words(mesh(7), 0, (), one)
    assert json.loads(lines.window_as_json(mesh(7), 0))["bandwidth"] is None


def ranks_of(one: Bandwidths) -> dict[tuple[str, str], int]:
    levels = slowness(one)
    return {
        (source, target): int(levels[row, column])
        for row, source in enumerate(one.nodes)
        for column, target in enumerate(one.nodes)
    }


@pytest.mark.parametrize("size", [3, 7, 90])
@pytest.mark.parametrize(("width", "height"), [(40, 12), (80, 24), (120, 40)])
def test_a_matrix_of_bandwidth_fits_its_screen(size: int, width: int, height: int) -> None:
    screen = Screen("here", shown="bandwidth", seen=mesh(size), tested=bandwidths(size))
    drawn = picture(screen, width, height, moment(ENDED) + 5)
    assert len(drawn) == height
    assert max(line.cell_len for line in drawn) <= width
    plain = "\n".join(line.plain for line in drawn)
    assert "TCP bandwidth: " in plain
    if height >= 24:
        assert "TCP bandwidth, the last test of each pair" in plain
        assert ("blank: not tested yet" in plain) == (size == 90)
        assert "slowest, TCP bandwidth" in plain


def test_where_no_bandwidth_is_tested_the_screen_says_how_to_have_it() -> None:
    drawn = picture(Screen("here", shown="bandwidth", seen=mesh(3)), 120, 24, moment(ENDED))
    plain = "\n".join(line.plain for line in drawn)
    assert "serve --background-bandwidth" in plain
    assert "network round trip, p50" in plain
    assert "TCP bandwidth" not in "\n".join(
        line.plain for line in picture(Screen("here", seen=mesh(3)), 120, 24, moment(ENDED))
    )
