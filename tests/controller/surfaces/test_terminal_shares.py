"""The table of paths beside the hosts' own network."""

import io
from dataclasses import replace

from rich.console import Console

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.share import Share
from netmesh_controller.surfaces.terminal.shares import show_shares

PARAMETERS = Parameters(instrument="iperf3", streams=1, direction="forward")


def shown(*found: Share, width: int = 80) -> str:
    out = io.StringIO()
    show_shares(Console(file=out, width=width), found)
    return out.getvalue()


def share(value: str, how: str, figure: float | None, unit: str = "s", path: str = "pod-to-pod") -> Share:
    return Share(path, "tcp-bandwidth", PARAMETERS, value, how, unit, figure, 6)  # type: ignore[arg-type]  # one of the two


def test_a_row_a_path_with_share_and_what_is_added() -> None:
    text = shown(
        share("bits_per_second", "ratio", 0.934, "1"),
        share("round_trip_seconds", "added", 12.4e-6),
        share("bits_per_second", "ratio", 0.71, "1", path="pod-to-service"),
        width=120,
    )
    lines = text.splitlines()
    rows = [place for place, line in enumerate(lines) if "tcp-bandwidth" in line]
    assert len(rows) == 2
    assert "93.4 %" in lines[rows[0]]
    assert "+12.4 µs" in lines[rows[0] + 1]
    assert "71.0 %" in lines[rows[1]]


def test_less_than_the_hosts_is_said_with_its_sign() -> None:
    assert "-2.00 µs" in shown(share("round_trip_seconds", "added", -2e-6), width=120)


def cost(value: str, figure: float | None, error: float | None = None, reason: str | None = None) -> Share:
    return Share("pod-to-pod", "tcp-bandwidth", PARAMETERS, value, "added", "s/GB", figure, 6, error, reason)


HOST, TOOL = "source_cpu_seconds_per_gigabyte", "source_tool_cpu_seconds_per_gigabyte"


def test_an_added_cost_has_its_error_and_says_whose_it_is() -> None:
    text = " ".join(shown(cost(HOST, 0.25, 0.05), cost(TOOL, 0.1, 0.01), width=160).split())
    assert "sender CPU, host +250 ± 50.0 CPU ms/GB" in text
    assert "tool" not in text
    alone = Share("pod-to-pod", "tcp-bandwidth", PARAMETERS, HOST, "added", "s/GB", None, 0)
    text = " ".join(shown(alone, cost(TOOL, 0.1, 0.01), width=160).split())
    assert "sender CPU, tool +100 ± 10.0 CPU ms/GB" in text
    assert "host" not in text.replace("host-to-host", "")


def test_a_cost_that_cannot_be_told_from_none_has_no_number_of_its_own() -> None:
    said = "not distinguishable from the hosts'"
    text = " ".join(shown(cost(HOST, None, 12.0, said), width=160).split())
    assert f"sender CPU, host: {said} (± 12.0 CPU s/GB)" in text


def test_a_cost_that_no_test_has_is_said_to_be_unknown() -> None:
    alone = Share("pod-to-pod", "tcp-bandwidth", PARAMETERS, HOST, "added", "s/GB", None, 0)
    text = " ".join(shown(share("bits_per_second", "ratio", 0.9, "1"), alone, width=200).split())
    assert "sender CPU, host: too small to be told" in text


def test_no_pair_in_common_is_said_not_zero() -> None:
    text = shown(share("bits_per_second", "ratio", None, "1"))
    assert "no pair has both" in " ".join(text.split())
    assert "0 %" not in text


def test_without_the_baseline_there_is_no_table() -> None:
    assert shown() == ""


def test_it_fits_80_columns() -> None:
    text = shown(share("bits_per_second", "ratio", 0.934, "1"), share("round_trip_seconds", "added", 12.4e-6))
    assert max(map(len, text.splitlines())) <= 80


def test_a_median_stands_beside_the_pairs_at_both_ends() -> None:
    scattered = Share(
        "pod-to-pod", "udp-latency", PARAMETERS, "round_trip_seconds", "added", "s", 5e-6, 6, least=-8e-6, most=4e-5
    )
    assert "+5.00 µs (-8.00 to +40.0)" in shown(scattered, width=120)
    assert "(" not in shown(replace(scattered, pairs=1), width=120)
