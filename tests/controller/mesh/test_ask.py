"""What is asked for: every field's own sentence, and the same from a command line and a file."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.ask import Ask, AskError, ask_from


def test_the_defaults_are_the_documented_ones() -> None:
    assert ask_from({}) == Ask()
    assert Ask().model_dump() == {
        "paths": ("pod-to-pod",),
        "tests": ("tcp-bandwidth", "tcp-latency"),
        "tool": None,
        "duration": 5,
        "omit": 1,
        "interval": 0.1,
        "congestion": None,
        "streams": 1,
        "bidirectional": False,
        "rate": None,
        "repeat": 1,
        "pairs": "all",
        "max_concurrent": None,
        "family": 4,
    }


def test_a_command_line_and_a_file_ask_for_the_same() -> None:
    command_line = {
        "paths": "all",
        "tests": "udp-bandwidth,udp-latency",
        "tool": None,
        "duration": "2m",
        "omit": "0",
        "interval": "500ms",
        "streams": "4",
        "rate": "20M",
        "repeat": "2",
        "pairs": "node-1:node-2,node-2:node-1",
        "max-concurrent": "3",
        "family": "6",
    }
    file = {
        "paths": ["pod-to-pod"],
        "tests": ["udp-bandwidth", "udp-latency"],
        "duration": 120,
        "omit": 0,
        "interval": 0.5,
        "streams": 4,
        "rate": 20_000_000,
        "repeat": 2,
        "pairs": ["node-1:node-2", "node-2:node-1"],
        "max_concurrent": 3,
        "family": 6,
    }
    assert ask_from(command_line) == ask_from(file)


def test_what_was_resolved_can_be_asked_for_again() -> None:
    asked = ask_from({"rate": "unlimited", "pairs": "sample:2", "tests": "tcp-latency", "interval": "0.3s"})
    assert ask_from(asked.model_dump(mode="json")) == asked


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"tests": "tcp-bandwith"},
            "tests: there is no test 'tcp-bandwith'; did you mean tcp-bandwidth? The tests are tcp-bandwidth, ",
        ),
        ({"tests": []}, "tests: [] is not a list of tests such as tcp-bandwidth"),
        ({"tests": 3}, "tests: 3 is not a list of tests such as tcp-bandwidth"),
        ({"tests": [3]}, "tests: there is no test '3'; the tests are"),
        ({"tests": [["tcp-latency"]]}, "tests: there is no test '['tcp-latency']'; did you mean tcp-latency? The"),
        ({"paths": "host-to-host"}, "paths: there is no path 'host-to-host'; the paths are pod-to-pod"),
        ({"tool": "sockperf"}, "tool: there is no tool 'sockperf'; the tools are iperf3, qperf"),
        ({"tool": 3}, "tool: there is no tool '3'; the tools are"),
        ({"tool": "iperf3", "tests": "tcp-latency"}, "tool: iperf3 runs none of the tests tcp-latency"),
        ({"duration": "0.5s"}, "duration: 0.5s is not a whole number of seconds ≥ 1; the tools truncate it"),
        ({"duration": 1.5}, "duration: 1.5 is not a whole number of seconds ≥ 1"),
        ({"duration": 0}, "duration: 0 is not a whole number of seconds ≥ 1"),
        ({"duration": -5}, "duration: -5 is not a whole number of seconds ≥ 1"),
        ({"duration": "soon"}, "duration: 'soon' is not a duration such as 5s"),
        ({"duration": True}, "duration: True is not a duration such as 5s"),
        ({"duration": float("inf")}, "duration: inf is not a duration"),
        ({"duration": float("nan")}, "duration: nan is not a duration"),
        ({"omit": "0.5s"}, "omit: 0.5s is not a whole number of seconds ≥ 0"),
        ({"interval": "0.01s"}, "interval: 0.01s is not an interval from 0.1s to 60s"),
        ({"interval": [1]}, "interval: [1] is not a duration"),
        ({"streams": 0}, "streams: 0 is not a whole number of streams from 1 to 128"),
        ({"streams": 129}, "streams: 129 is not a whole number of streams from 1 to 128"),
        ({"streams": 1.5}, "streams: 1.5 is not a whole number of streams"),
        ({"streams": True}, "streams: True is not a whole number of streams"),
        ({"repeat": 0}, "repeat: 0 is not a whole number of repeats ≥ 1"),
        ({"max-concurrent": 0}, "max-concurrent: 0 is not a whole number of tests at once ≥ 1"),
        ({"rate": "10x"}, "rate: '10x' is not a rate in bits a second such as 100M, 1.5G or 64k, nor unlimited"),
        ({"rate": 0}, "rate: 0 sends nothing; say unlimited"),
        ({"rate": 1.5}, "rate: 1.5 is not a rate such as 100M, nor unlimited"),
        ({"pairs": "some"}, "pairs: 'some' is not all, sample:K, zones, or a list such as node-1:node-2"),
        ({"pairs": "sample:0"}, "pairs: 'sample:0' names no number of rounds ≥ 1, such as sample:3"),
        ({"pairs": "a:b:c"}, "pairs: 'a:b:c' is not all"),
        ({"pairs": {"a": "b"}}, "pairs: {'a': 'b'} is not all"),
        ({"pairs": ""}, "pairs: '' is not all"),
        ({"congestion": "b b"}, "congestion: 'b b' is not the name of a congestion control such as cubic or bbr"),
        ({"bidirectional": "yes"}, "bidirectional: 'yes' is not true or false"),
        ({"family": 5}, "family: 5 is not 4 or 6"),
        ({"duraton": 5}, "duraton: there is no option 'duraton'; did you mean duration? The options are"),
        ({"max-concurrent": 1, "max_concurrent": 2}, "max-concurrent: it is given twice"),
        ({3: 4}, "3: there is no option '3'; the options are paths, "),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(AskError) as raised:
        ask_from(given)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert raised.value.field == sentence.partition(":")[0]


def test_the_tool_is_used_where_it_can_be() -> None:
    asked = ask_from({"tool": "iperf3"})
    assert asked.instrument("tcp-bandwidth") == "iperf3"
    assert asked.instrument("tcp-latency") == "qperf"
    assert ask_from({"tool": "qperf"}).instrument("tcp-bandwidth") == "qperf"


def test_a_test_named_twice_is_one() -> None:
    assert ask_from({"tests": "tcp-latency, tcp-latency"}).tests == ("tcp-latency",)
