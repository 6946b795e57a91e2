"""sockperf's recorded outputs and the command lines, each trap by its name."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from netmesh_agent import histogram
from netmesh_agent.process import OUTPUT_LIMIT_BYTES
from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary
from netmesh_agent.tools.sockperf import MOST_MESSAGES, START_UP_SECONDS, Sockperf

Samples = Callable[[str], dict[str, Output]]
_SAMPLES = Path(__file__).parents[2] / "samples" / "sockperf"

SOCKPERF = Sockperf()
UDP = Spec("udp-latency", "sockperf", duration_seconds=1, offered_per_second=500)
TCP = dataclasses.replace(UDP, test="tcp-latency")
UDP_5S = dataclasses.replace(UDP, duration_seconds=5, offered_per_second=100)
UDP_2S = dataclasses.replace(UDP_5S, duration_seconds=2)


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-12)


def values(count: int, span: float, jitter: float, loss: float | None, *figures: float) -> dict[str, Summary]:
    mean, stdev, low, p10, p50, p90, p99, high = (near(each * 1e-6) for each in figures)
    return {
        "round_trip_seconds": Summary(mean, stdev, low, p10, p50, p90, p99, None, high, count),
        "jitter_seconds": Summary(near(jitter * 1e-6)),
        "messages_per_second": Summary(near((count - 1) / span)),
        **({} if loss is None else {"loss_ratio": Summary(near(loss))}),
    }


# Name of the sample, what was asked: the code of the failure, or the values. Figures are in microseconds, computed
# from the files' rows by NumPy (mean, std with ddof=1, min, quantile, max; mean of |diff|).
ROWS: tuple[tuple[str, Spec, str | dict[str, Summary]], ...] = (
    (
        "udp_log_ok",
        UDP,
        values(
            275,
            0.54799998,
            78.574120437956211,
            0,
            73.137196363636363,
            328.39387726517259,
            15.632999999999999,
            16.739999999999998,
            27.861000000000001,
            61.003599999999992,
            1473.2438599999998,
            3477.127,
        ),
    ),
    (
        "udp_log_loss",
        UDP,
        values(
            256,
            0.547999862,
            44.766466666666666,
            19 / 275,
            46.765000000000001,
            193.27356346933053,
            16.625,
            19.798999999999999,
            25.533000000000001,
            35.352499999999999,
            579.18489999998872,
            2680.3339999999998,
        ),
    ),
    (
        "udp_log_full_rtt",
        UDP,
        values(
            274,
            0.546000852,
            51.618538461538463,
            0,
            54.595270072992705,
            177.01909772706054,
            15.362,
            18.242999999999999,
            32.838999999999999,
            48.009,
            1194.2912199999932,
            1727.8520000000001,
        ),
    ),
    (
        "tcp_log_ok",
        TCP,
        values(
            275,
            0.547999989,
            36.636452554744523,
            None,
            43.078010909090906,
            197.66677955518691,
            16.494,
            17.684000000000001,
            21.972999999999999,
            34.587600000000002,
            302.25803999999238,
            2924.2069999999999,
        ),
    ),
    # Neither holds the observations behind the summary.
    ("ul_udp", UDP, "tool_output"),
    ("ul_udp_1pct_loss", UDP_2S, "tool_output"),
    ("pp_udp", UDP, "tool_output"),
    ("pp_udp_1pct_loss", UDP_2S, "loss"),
    # A rate, where no server was.
    ("tp_udp_noserver", UDP, "tool_output"),
    ("err_ipv6", UDP, "not_supported"),
    ("err_tcp_refused", TCP, "refused"),
    ("err_udp_noserver", UDP, "unreachable"),
    ("tcp_busy", TCP, "busy"),
    ("tcp_server_killed", dataclasses.replace(TCP, duration_seconds=2), "tool_failed"),
    # A third of the replies are missing, all at the end.
    ("udp_server_killed", UDP_2S, "timeout"),
    ("client_sigterm", UDP_5S, "tool_failed"),
    ("client_sigint", UDP_5S, "tool_failed"),
)


@pytest.mark.parametrize(("name", "spec", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_sample(samples: Samples, name: str, spec: Spec, expected: Any) -> None:
    result = SOCKPERF.parse_client(spec, samples("sockperf")[name])
    if isinstance(expected, str):
        assert isinstance(result, Failure)
        assert result.code == expected
        assert "sockperf" in result.message
    else:
        assert isinstance(result, Reading), result
        assert result.values == expected


def test_no_sample_is_left_untested(samples: Samples) -> None:
    assert {row[0] for row in ROWS} | {"server_err_addr_in_use"} == samples("sockperf").keys()


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
@pytest.mark.parametrize("exit_code", [0, 1, -15])
def test_the_exit_code_decides_nothing(samples: Samples, name: str, exit_code: int) -> None:
    spec = next(row[1] for row in ROWS if row[0] == name)
    output = samples("sockperf")[name]
    changed = dataclasses.replace(output, exit_code=exit_code)
    assert SOCKPERF.parse_client(spec, changed) == SOCKPERF.parse_client(spec, output)


def test_a_deadline_is_a_timeout_whatever_was_printed(samples: Samples) -> None:
    for output in samples("sockperf").values():
        result = SOCKPERF.parse_client(UDP, dataclasses.replace(output, exit_code=None, timed_out=True))
        assert isinstance(result, Failure)
        assert result.code == "timeout"


def test_printed_halves_are_doubled_and_kept_beside(samples: Samples) -> None:
    reading = SOCKPERF.parse_client(UDP, samples("sockperf")["udp_log_loss"])
    assert isinstance(reading, Reading)
    assert reading.reported == pytest.approx(
        {
            "half_round_trip_seconds": 23.382e-6,
            "mean_round_trip_seconds": 46.764e-6,
            "stdev_round_trip_seconds": 193.272e-6,
            "min_round_trip_seconds": 16.624e-6,
            "p25_round_trip_seconds": 22.662e-6,
            "p50_round_trip_seconds": 25.476e-6,
            "p75_round_trip_seconds": 29.292e-6,
            "p90_round_trip_seconds": 35.332e-6,
            "p99_round_trip_seconds": 134.358e-6,
            "p999_round_trip_seconds": 2680.332e-6,
            "max_round_trip_seconds": 2680.332e-6,
            "measured_seconds": 0.548,
            "sent_messages": 275,
            "received_messages": 256,
            "dropped_messages": 19,
            "duplicated_messages": 0,
            "out_of_order_messages": 0,
        }
    )
    assert "Summary: Latency is 23.382 usec" in reading.raw
    assert "\x1b" not in reading.raw


def test_whole_round_trips_are_not_doubled(samples: Samples) -> None:
    reading = SOCKPERF.parse_client(UDP, samples("sockperf")["udp_log_full_rtt"])
    assert isinstance(reading, Reading)
    assert reading.reported["mean_round_trip_seconds"] == pytest.approx(54.595e-6)
    assert reading.reported["half_round_trip_seconds"] == pytest.approx(54.595e-6 / 2)
    assert reading.values["round_trip_seconds"].mean == pytest.approx(54.595e-6, abs=1e-9)


# --- outputs of the program's own form, out of observations of our own ---


def printed(
    observations: Sequence[tuple[int, int]], seconds: float, sent: int, dropped: int = 0, out_of_order: int = 0
) -> Output:
    """As the program prints them; each observation is (sent, received) in nanoseconds."""
    halves = sorted((received - sent) / 2000 for sent, received in observations)
    mean = sum(received - sent for sent, received in observations) // len(observations) / 2000
    counts = f"# dropped messages = {dropped}; # duplicated messages = 0; # out-of-order messages = {out_of_order}"
    summary = (
        f"[Valid Duration] RunTime={seconds:.3f} sec; SentMessages={sent}; ReceivedMessages={len(observations)}",
        f"\x1b[2;35m====> avg-latency={mean:.3f} (std-dev={statistics.pstdev(halves):.3f})\x1b[0m",
        f"\x1b[0;31m{counts}\x1b[0m",
        f"Summary: Latency is {mean:.3f} usec",
        f"---> <MAX> observation = {halves[-1]:8.3f}",
    )
    rows = "".join(
        f"{number}, {sent / 1e9:.9f}, {received / 1e9:.9f}, {(received - sent) / 2000:.3f}\n"
        for number, (sent, received) in enumerate(observations)
    )
    return Output(
        "".join(f"sockperf: {line}\n" for line in summary),
        f"{'-' * 30}\npacket, txTime(sec), rxTime(sec), latency(usec)\n{rows}{'-' * 30}\n",
    )


def messages(count: int, round_trip: int, period: int = 10_000_000) -> list[tuple[int, int]]:
    return [(2_400_000_000 + i * period, 2_400_000_000 + i * period + round_trip) for i in range(count)]


def test_few_messages_are_measured_from_the_first_to_the_last() -> None:
    spec = dataclasses.replace(UDP, offered_per_second=4)
    reading = SOCKPERF.parse_client(spec, printed(messages(2, 100_000, 250_000_000), 0.25, sent=2))
    assert isinstance(reading, Reading), reading
    assert reading.values["messages_per_second"] == Summary(near(4))


def test_later_versions_say_more_of_the_average() -> None:
    output = printed(messages(155, 100_000), 1.541, sent=155)
    more = re.sub(
        r"(std-dev=[\d.]+)\)",
        r"\1, mean-ad=0.000, median-ad=0.000, siqr=0.000, cv=0.000, std-error=0.000, 99.0% ci=[50.000, 50.000])",
        output.stdout,
    )
    assert more != output.stdout
    reading = SOCKPERF.parse_client(UDP_2S, dataclasses.replace(output, stdout=more))
    assert isinstance(reading, Reading), reading
    assert reading.values["round_trip_seconds"].p50 == near(100e-6)


def test_replies_under_way_at_the_end_are_no_loss() -> None:
    # 155 messages in 1.55 s; round trips of 101 ms, so that the last 5 are unanswered when the program ends.
    answered = messages(150, 101_000_000)
    seconds = (answered[-1][1] - answered[0][0]) / 1e9
    reading = SOCKPERF.parse_client(UDP_2S, printed(answered, seconds, sent=150, dropped=5))
    assert isinstance(reading, Reading), reading
    assert reading.values["loss_ratio"] == Summary(0.0)
    assert reading.values["round_trip_seconds"].mean == near(0.101)
    # Three of those before were lost as well.
    answered = [one for number, one in enumerate(answered) if number not in {7, 70, 71}]
    reading = SOCKPERF.parse_client(UDP_2S, printed(answered, seconds, sent=150, dropped=8))
    assert isinstance(reading, Reading), reading
    assert reading.values["loss_ratio"] == Summary(near(3 / 150))


def test_a_loss_that_late_replies_hide_is_not_stated() -> None:
    answered = messages(150, 101_000_000)
    seconds = (answered[-1][1] - answered[0][0]) / 1e9
    reading = SOCKPERF.parse_client(UDP_2S, printed(answered, seconds, sent=152, dropped=5, out_of_order=2))
    assert isinstance(reading, Reading), reading
    assert "loss_ratio" not in reading.values
    # Without replies under way, one that was overtaken is one that came.
    reading = SOCKPERF.parse_client(UDP_2S, printed(answered, seconds, sent=156, dropped=4, out_of_order=2))
    assert isinstance(reading, Reading), reading
    assert reading.values["loss_ratio"] == Summary(near(4 / 156))


def test_tcp_loses_nothing() -> None:
    answered = messages(150, 101_000_000)
    seconds = (answered[-1][1] - answered[0][0]) / 1e9
    spec = dataclasses.replace(UDP_2S, test="tcp-latency")
    reading = SOCKPERF.parse_client(spec, printed(answered, seconds, sent=150, dropped=5))
    assert isinstance(reading, Reading), reading
    assert "loss_ratio" not in reading.values
    assert reading.reported["dropped_messages"] == 5


def test_heavy_random_loss_is_a_loss_and_silence_is_not() -> None:
    every_other = messages(155, 100_000)[::2]
    reading = SOCKPERF.parse_client(UDP_2S, printed(every_other, 1.541, sent=155, dropped=77))
    assert isinstance(reading, Reading), reading
    assert reading.values["loss_ratio"] == Summary(near(77 / 155))
    for half in (messages(77, 100_000), messages(155, 100_000)[77:]):
        result = SOCKPERF.parse_client(UDP_2S, printed(half, 1.54, sent=155, dropped=155 - len(half)))
        assert isinstance(result, Failure)
        assert result.code == "timeout"


@pytest.mark.parametrize(
    ("seconds", "sent", "dropped"),
    [
        (1.541, 100, 0),
        (1.541, 160, 0),
        (9.0, 155, 0),
        (1.0, 155, 0),
    ],
)
def test_counts_and_times_that_do_not_fit_are_refused(seconds: float, sent: int, dropped: int) -> None:
    answered = messages(155, 100_000)
    assert isinstance(SOCKPERF.parse_client(UDP_2S, printed(answered, 1.541, sent=155)), Reading)
    result = SOCKPERF.parse_client(UDP_2S, printed(answered, seconds, sent=sent, dropped=dropped))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"


def test_one_that_ended_early_has_failed() -> None:
    """Ping-pong's way to end at the first loss, and what is left where a process was held up as it began."""
    result = SOCKPERF.parse_client(UDP_2S, printed(messages(23, 100_000), 0.221, sent=23))
    assert isinstance(result, Failure)
    assert (result.code, "0.221 s of the 1.55 s" in result.message) == ("tool_failed", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log[: len(log) // 2],
        lambda log: log[: log.rindex("\n---")],
        lambda log: log.replace("\n10, ", "\n11, "),
        lambda log: re.sub(r"\n10, .*", "", log),
        lambda log: log.replace(", 50.000\n", ", 51.000\n", 1),
        lambda log: log.replace("latency(usec)", "rtt(usec)"),
        lambda log: log.replace(", 2.4", ", 1.4", 1),
        lambda log: log.replace("0, 2.400000000, 2.400100000, 50.000", "0, 2.400000000, 2.400110000, 55.000"),
        lambda log: log + log,
        lambda _: "",
    ],
)
def test_a_log_that_is_not_whole_is_refused(change: Callable[[str], str]) -> None:
    output = printed(messages(155, 100_000), 1.541, sent=155)
    broken = change(output.stderr)
    assert broken != output.stderr
    result = SOCKPERF.parse_client(UDP_2S, dataclasses.replace(output, stderr=broken))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"


def test_histograms_of_two_readings_merge_into_that_of_all_observations(samples: Samples) -> None:
    outputs = [samples("sockperf")[name] for name in ("udp_log_ok", "udp_log_loss")]
    readings = [SOCKPERF.parse_client(UDP, output) for output in outputs]
    merged = histogram.merge(one.histograms["round_trip_seconds"] for one in readings if isinstance(one, Reading))
    rows = [row for output in outputs for row in re.findall(r"^\d+, ([\d.]+), ([\d.]+), ", output.stderr, re.MULTILINE)]
    pooled = sorted(round((float(received) - float(sent)) * 1e9) for sent, received in rows)
    assert len(pooled) == 275 + 256
    for percent in (10, 50, 90, 99, 99.9, 100):
        there = pooled[max(int(percent * len(pooled) / 100 + 0.5), 1) - 1]
        assert there <= histogram.percentile(merged, percent) <= there * 1.001


# --- command lines ---


def test_command_lines() -> None:
    spec = Spec("udp-latency", "sockperf", duration_seconds=3, omit_seconds=1)
    assert SOCKPERF.refuse(spec) is None
    assert (
        " ".join(SOCKPERF.client_command(spec, "10.0.0.2", [61863]))
        == "sockperf ul -i 10.0.0.2 -p 61863 -t 3 --mps 1000 --reply-every 1 --full-log /dev/stderr"
    )
    assert " ".join(SOCKPERF.server_command(spec, "10.0.0.2", [61863])) == "sockperf sr -i 10.0.0.2 -p 61863"
    assert SOCKPERF.listens_on(spec, [61863]) == (("udp", 61863),)
    spec = dataclasses.replace(spec, test="tcp-latency", offered_per_second=200, message_bytes=64)
    assert (
        " ".join(SOCKPERF.client_command(spec, "10.0.0.2", [61863]))
        == "sockperf ul -i 10.0.0.2 -p 61863 --tcp -t 3 --mps 200 --reply-every 1 --full-log /dev/stderr -m 64"
    )
    assert " ".join(SOCKPERF.server_command(spec, "10.0.0.2", [61863])) == "sockperf sr -i 10.0.0.2 -p 61863 --tcp"
    assert SOCKPERF.listens_on(spec, [61863]) == (("tcp", 61863),)
    assert SOCKPERF.ports_needed(spec) == 1
    assert not SOCKPERF.serves_once
    assert SOCKPERF.client_overhead_seconds(spec) > START_UP_SECONDS + 1


@pytest.mark.parametrize(
    ("code", "field", "change"),
    [
        ("not_supported", "test", {"test": "tcp-bandwidth"}),
        ("not_supported", "family", {"family": 6}),
        ("not_supported", "duration_seconds", {"duration_seconds": 0}),
        ("not_supported", "duration_seconds", {"duration_seconds": 1.5}),
        ("not_supported", "streams", {"streams": 2}),
        ("not_supported", "congestion_control", {"congestion_control": "cubic"}),
        ("not_supported", "mss_bytes", {"mss_bytes": 1400}),
        ("not_supported", "message_bytes", {"message_bytes": 13}),
        ("not_supported", "message_bytes", {"message_bytes": 65508}),
        ("not_supported", "offered_per_second", {"offered_per_second": 0}),
        ("not_supported", "offered_per_second", {"offered_per_second": 1}),
        ("not_supported", "offered_per_second", {"offered_per_second": 100_001, "duration_seconds": 2}),
        ("not_supported", "offered_per_second", {"duration_seconds": 500, "offered_per_second": None}),
        ("rate_not_supported", "offered_bits_per_second", {"offered_bits_per_second": 1_000_000}),
    ],
)
def test_what_it_cannot_do_is_refused(code: str, field: str, change: dict[str, Any]) -> None:
    result = SOCKPERF.refuse(dataclasses.replace(UDP, **change))
    assert isinstance(result, Failure)
    assert (result.code, result.field) == (code, field)
    assert "sockperf" in result.message


def test_the_largest_log_that_is_asked_for_is_kept_whole() -> None:
    # Ten seconds of round trip, half a day after the start.
    longest = f"{MOST_MESSAGES}, 40000.123456789, 40010.123456789, 10000000.000\n"
    assert len(longest) * MOST_MESSAGES < OUTPUT_LIMIT_BYTES


def test_server(samples: Samples) -> None:
    assert SOCKPERF.parse_server(UDP, Output("sockperf: == version #3.7-no.git == \n", "", -15)) == Reading()
    result = SOCKPERF.parse_server(UDP, samples("sockperf")["server_err_addr_in_use"])
    assert isinstance(result, Failure)
    assert result.code == "busy"
    assert "Address already in use" in result.message


def test_the_recorded_command_is_the_one_that_is_built() -> None:
    recorded = json.loads((_SAMPLES / "udp_log_ok.meta.json").read_text())["cmd"]
    assert sorted(recorded.split()) == sorted(SOCKPERF.client_command(UDP, "10.79.9.2", [61863]))
