"""What STAMP says of a network, beside what captures at both of its ends say of the same packets."""

from __future__ import annotations

import json
import os
import statistics

import pytest
from tests.agent.stamp.network import FORWARD_DELAY, MICROSECOND, PORT, RETURN_DELAY, network, run, truth

pytestmark = [pytest.mark.measures, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


@pytest.mark.parametrize("relay", [False, True], ids=["veth", "relay"])
def test_network_time_is_what_captures_say(relay: bool) -> None:
    with network(relay=relay) as made:
        made.reflector()
        captures = made.capture()
        client = made.stamp(made.near, "client", "--rate", "400", "--duration", "3", "--same-clock")
        answer = json.loads(client.communicate(timeout=60)[0])
        real = truth(captures, answer)
    values = answer["values"]
    assert set(answer["stamps"].values()) == {"kernel"}
    assert len(answer["ports"]) == 4
    assert answer["received"] == answer["sent"] > 600
    assert answer["incomplete"] == 0
    assert abs(values["network_round_trip_seconds"]["p50"] - statistics.median(real.network)) <= 5 * MICROSECOND
    for name, way in (("forward_delay_seconds", real.forward), ("return_delay_seconds", real.back)):
        assert abs(values[name]["p50"] - statistics.median(way)) <= 5 * MICROSECOND
    if relay:
        assert values["forward_delay_seconds"]["p50"] >= FORWARD_DELAY * 1e-9
        assert FORWARD_DELAY * 1e-9 > values["return_delay_seconds"]["p50"] >= RETURN_DELAY * 1e-9


@pytest.mark.parametrize(("at", "flag", "lossy"), [("b", "--dport", "forward"), ("a", "--sport", "return")])
def test_loss_of_one_direction_is_attributed_to_it(at: str, flag: str, lossy: str) -> None:
    with network(relay=False) as made:
        made.reflector()
        rule = f"iptables -w -A INPUT -p udp {flag} {PORT} -m statistic --mode nth --every 5 --packet 0 -j DROP"
        run("nsenter", f"--net=/run/netns/{made.name}{at}", *rule.split())
        client = made.stamp(made.near, "client", "--rate", "500", "--duration", "2", "--timeout", "0.5")
        answer = json.loads(client.communicate(timeout=60)[0])
    values = answer["values"]
    assert values["loss_ratio"] == pytest.approx(0.2, abs=0.01)
    assert values[f"{lossy}_loss_ratio"] == pytest.approx(0.2, abs=0.01)
    assert values["return_loss_ratio" if lossy == "forward" else "forward_loss_ratio"] == 0
    assert answer["socket_drops"] == 0
