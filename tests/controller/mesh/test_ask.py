"""What is asked for: every field's own sentence, and the same from a command line and a file."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.ask import Ask, AskError, ask_from
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.fields import Pause, Target


def test_the_defaults_are_the_documented_ones() -> None:
    assert ask_from({}) == Ask()
    assert Ask().model_dump() == {
        "paths": ("pod-to-pod",),
        "tests": ("tcp-bandwidth", "tcp-latency"),
        "tool": None,
        "stamp": True,
        "duration": 5,
        "omit": 1,
        "interval": 0.1,
        "congestion": None,
        "streams": (1,),
        "message_sizes": None,
        "mss": None,
        "bidirectional": False,
        "under_load": False,
        "rate": None,
        "message_rate": None,
        "max_rate": None,
        "max_traffic": None,
        "pause_if": None,
        "repeat": 1,
        "until": None,
        "max_repeat": None,
        "budget": None,
        "pairs": "all",
        "max_concurrent": None,
        "per_zone_pair": None,
        "family": 4,
        "targets": (),
        "nodes": None,
        "zones": None,
        "selector": None,
        "exclude": None,
        "include_control_plane": False,
    }


def test_a_command_line_and_a_file_ask_for_the_same() -> None:
    command_line = {
        "paths": "pod-to-pod,hairpin",
        "tests": "udp-bandwidth,udp-latency,tcp-connect,tcp-bandwidth",
        "tool": "qperf,sockperf",
        "duration": "2m",
        "omit": "0",
        "interval": "500ms",
        "streams": "1,4",
        "message-sizes": "64,1k",
        "mss": "536:600:32",
        "under-load": True,
        "rate": "20M",
        "message-rate": "50",
        "max-rate": "1G",
        "max-traffic": "1M",
        "pause-if": "cpu>80%",
        "repeat": "2",
        "pairs": "node-1:node-2,node-2:node-1",
        "max-concurrent": "3",
        "per-zone-pair": "2",
        "family": "both",
        "targets": "web=192.0.2.10:443,pod-to-nodeport:np=[2001:DB8:0::1]:30080",
    }
    file = {
        "paths": ["pod-to-pod", "hairpin"],
        "tests": ["udp-bandwidth", "udp-latency", "tcp-connect", "tcp-bandwidth"],
        "tool": ["qperf", "sockperf"],
        "duration": 120,
        "omit": 0,
        "interval": 0.5,
        "streams": [1, 4],
        "message_sizes": [64, 1024],
        "mss": [536, 568, 600],
        "under_load": True,
        "rate": 20_000_000,
        "message_rate": 50,
        "max_rate": 10**9,
        "max_traffic": 2**20,
        "pause_if": "cpu > 80 %",
        "repeat": 2,
        "pairs": ["node-1:node-2", "node-2:node-1"],
        "max_concurrent": 3,
        "per_zone_pair": 2,
        "family": "both",
        "targets": ["web=192.0.2.10:443", "pod-to-nodeport:np=[2001:db8::1]:30080"],
    }
    assert ask_from(command_line) == ask_from(file)


def test_what_was_resolved_can_be_asked_for_again() -> None:
    asked = ask_from({"rate": "unlimited", "pairs": "sample:2", "tests": "tcp-latency", "interval": "0.3s"})
    assert ask_from(asked.model_dump(mode="json")) == asked
    asked = ask_from(
        {
            "paths": "all",
            "tests": "all",
            "mss": "536:1460:64",
            "targets": "a=[2001:db8::1]:53",
            "pause-if": "cpu > 7.5%",
        }
    )
    assert ask_from(asked.model_dump(mode="json")) == asked


def test_all_is_every_path_between_nodes_and_every_test_but_those_by_sctp() -> None:
    asked = ask_from({"paths": "all", "tests": "all"})
    assert asked.paths == ("pod-to-pod", "pod-to-service", "hairpin", "host-to-host", "host-to-pod", "pod-to-host")
    assert set(TESTS) - set(asked.tests) == {"sctp-bandwidth", "sctp-latency"}


def test_a_target_brings_its_path() -> None:
    asked = ask_from({"tests": "tcp-connect", "targets": ["web=192.0.2.10:443", "pod-to-loadbalancer:lb=[::1]:80"]})
    assert asked.paths == ("pod-to-pod", "pod-to-external", "pod-to-loadbalancer")
    assert asked.outside == (
        Target("pod-to-external", "web", "192.0.2.10", 443),
        Target("pod-to-loadbalancer", "lb", "::1", 80),
    )
    assert [target.family for target in asked.outside] == [4, 6]


def test_a_condition_to_pause() -> None:
    assert ask_from({"pause-if": "memory > 12.5 %"}).pause == Pause("memory", 0.125)
    assert ask_from({}).pause is None


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("536:1460:64", tuple(range(536, 1461, 64))),
        ("1400", (1400,)),
        ("1400,536:540:2", (1400, 536, 538, 540)),
        (1400, (1400,)),
        ([536, "540:541:1"], (536, 540, 541)),
    ],
)
def test_segment_sizes_are_a_list_or_a_range(text: object, sizes: tuple[int, ...]) -> None:
    assert ask_from({"mss": text}).mss == sizes


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
        (
            {"paths": "host-to-hots"},
            "paths: there is no path 'host-to-hots'; did you mean host-to-host? The paths are pod-to-",
        ),
        (
            {"tool": "netperf"},
            "tool: there is no tool 'netperf'; the tools are iperf3, qperf, sockperf, stamp, netmesh",
        ),
        ({"tool": 3}, "tool: 3 is not a list of tools such as iperf3"),
        ({"tool": "qperf,sockperf", "tests": "tcp-bandwidth"}, "tool: sockperf runs none of the tests tcp-bandwidth"),
        ({"tool": "iperf3", "tests": "tcp-latency"}, "tool: iperf3 runs none of the tests tcp-latency"),
        ({"duration": "0.5s"}, "duration: 0.5s is not a whole number of seconds ≥ 1; the tools truncate it"),
        ({"duration": 1.5}, "duration: 1.5 is not a whole number of seconds ≥ 1"),
        ({"duration": 0}, "duration: 0 is not a whole number of seconds ≥ 1"),
        ({"duration": "9" * 400 + "s"}, "duration: '9999"),
        ({"duration": "2000h"}, "duration: 2000h is more than the 86400 s that a test may take"),
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
        ({"repeat": 0}, "repeat: 0 is not a whole number of repeats from 1 to 1000"),
        ({"per-zone-pair": 0}, "per-zone-pair: 0 is not a whole number of tests at once ≥ 1"),
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
        ({"family": 5}, "family: 5 is not 4, 6 or both"),
        ({"streams": []}, "streams: [] is not a list of streams"),
        ({"streams": "1,,2"}, "streams:  is not a whole number of streams from 1 to 128"),
        ({"message-sizes": "1x"}, "message-sizes: '1x' is not a size in bytes such as 1400, 64k or 1M"),
        ({"message-sizes": 0}, "message-sizes: 0 is not a size of at least 1 byte"),
        ({"message-sizes": [1.5]}, "message-sizes: 1.5 is not a size such as 1400, 64k or 1M"),
        ({"message-sizes": "64", "tests": "path-mtu"}, "message-sizes: none of the tests path-mtu sends messages"),
        ({"mss": "536:1460"}, "mss: '536:1460' is not a range such as 536:1460:64: smallest, largest, step"),
        ({"mss": "1460:536:64"}, "mss: '1460:536:64' goes from 1460 down to 536; the smallest comes first"),
        ({"mss": "1:1000:1"}, "mss: '1:1000:1' has more than the 100 sizes that one run takes"),
        ({"mss": "1:999999999999:1"}, "mss: '1:999999999999:1' has more than the 100 sizes that one run takes"),
        ({"message-sizes": "2G"}, "message-sizes: 2G is more than the 1073741824 bytes that a message may have"),
        ({"message-rate": 2**32}, "message-rate: 4294967296 is not a whole number of messages a second from 1 to"),
        ({"mss": "1400", "tests": "udp-bandwidth"}, "mss: none of the tests udp-bandwidth has TCP segments to size"),
        ({"under-load": True, "tests": "tcp-connect"}, "under-load: none of the tests tcp-connect measures latency"),
        (
            {"message-rate": 5},
            "message-rate: none of the tests tcp-bandwidth, tcp-latency sends at a rate by iperf3, qperf",
        ),
        ({"max-rate": "unlimited"}, "max-rate: 'unlimited' is not a rate in bits a second"),
        ({"max-rate": 0}, "max-rate: 0 lets nothing through"),
        ({"rate": "2G", "max-rate": "1G"}, "rate: 2 Gbit/s is above the max-rate of 1 Gbit/s"),
        ({"max-traffic": "much"}, "max-traffic: 'much' is not a size in bytes"),
        ({"pause-if": "load > 3"}, "pause-if: 'load > 3' is not a condition such as 'cpu > 80 %' or 'memory > 90 %'"),
        ({"pause-if": "cpu > 101 %"}, "pause-if: 'cpu > 101 %' never holds: a node has 100 %"),
        ({"targets": "web"}, "targets: 'web' is not [PATH:]NAME=ADDRESS:PORT such as web=192.0.2.10:443"),
        ({"targets": "a=host.example:80"}, "targets: 'host.example' of target 'a' is not an IP address"),
        ({"targets": "a=192.0.2.1:0"}, "targets: 0 of target 'a' is not a port from 1 to 65535"),
        (
            {"targets": "pod-to-pod:a=192.0.2.1:80"},
            "targets: 'pod-to-pod' is no path to a target; these are pod-to-node",
        ),
        ({"targets": "a=192.0.2.1:80,a=192.0.2.2:80"}, "targets: two targets are called 'a'"),
        (
            {"targets": "a=192.0.2.1:80"},
            "targets: targets are measured by tcp-connect, or by udp-latency with tool stamp",
        ),
        ({"paths": "pod-to-external"}, "paths: pod-to-external needs a target: pod-to-external:NAME=ADDRESS:PORT"),
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
    assert asked.instruments("tcp-bandwidth") == ("iperf3",)
    assert asked.instruments("tcp-latency") == ("qperf",)
    several = ask_from({"tool": "sockperf,qperf"})
    assert several.instruments("tcp-bandwidth") == ("qperf",)
    assert several.instruments("tcp-latency") == ("sockperf", "qperf")


def test_a_test_named_twice_is_one() -> None:
    assert ask_from({"tests": "tcp-latency, tcp-latency"}).tests == ("tcp-latency",)
