"""The lab's network without its agents: what the file says is what packets meet."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tests.controller.lab.support import (
    IP_MTU_DISCOVER,
    IPV6_MTU_DISCOVER,
    LabMaker,
    Pod,
    assert_filled,
    count_lost,
    tcp_goodput,
)

from netmesh_controller.lab import Lab, LabError, LabInputError, load_spec, set_lab, up
from netmesh_controller.lab.addressing import Role, fabric_namespace, node_namespace
from netmesh_controller.lab.namespaces import inside

IP_PMTUDISC_DO, IP_MTU, IPV6_MTU = 2, 14, 24  # <linux/in.h>, <linux/in6.h>; not in Python's socket
SHAPED = """
nodes: 4
links: {node-1: {rate: 100M, direction: out}, node-4: {mtu: 1400}}
pairs: [{from: node-2, to: node-3, rate: 40M}, {from: node-2, to: node-1, loss: 0.1}]
"""


@pytest.fixture(scope="module")
def shaped(make_lab: LabMaker) -> Lab:
    return make_lab(SHAPED)


def root_network() -> str:
    """All of the machine's own network that a lab could have touched."""
    commands = ("ip -o link", "ip -o addr", "ip route", "ip -6 route", "iptables-save", "tc qdisc")
    shown = [subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout for command in commands]
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    return "\n".join("\n".join(line for line in text.splitlines() if line[:1] != "#") for text in (*shown, forwarding))


def reached(source: Pod, target: Pod, family: int) -> bool:
    return count_lost(source, target, packets=1, family=family) == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_every_pod_reaches_every_other(shaped: Lab, family: int) -> None:
    agents = [Pod(shaped, number) for number in range(1, 5)]
    for source in agents:
        for target in (*agents, Pod(shaped, 1, "peer")):
            if source is not target and source is not agents[1]:  # what node-2 sends may be lost
                assert reached(source, target, family), (source.namespace, target.namespace)


def test_the_controllers_place_reaches_every_agent(shaped: Lab) -> None:
    def greet() -> None:
        for target in shaped.targets():
            for address in (target.address, target.address6):
                assert address is not None
                # Nothing listens there: the pod itself refuses.
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((address, target.port), timeout=2)

    inside(fabric_namespace(shaped.name), greet)


@pytest.mark.measures
@pytest.mark.parametrize(
    ("source", "target", "rate", "v6"),
    [
        (1, 3, 100e6, False),  # the uplink, as it leaves the node
        (1, 3, 100e6, True),
        (2, 3, 40e6, False),  # the pair
        (2, 3, 40e6, True),
    ],
)
def test_a_shaped_rate_is_the_true_one(shaped: Lab, source: int, target: int, rate: float, v6: bool) -> None:
    assert_filled(Pod(shaped, source), Pod(shaped, target), rate, v6=v6)


# The uplink of node-1 is slow one way only, and so is the pair.
@pytest.mark.measures
@pytest.mark.parametrize(("source", "target"), [(3, 1), (3, 2)])
def test_other_directions_are_not_slowed(shaped: Lab, source: int, target: int) -> None:
    goodput, _ = tcp_goodput(Pod(shaped, source), Pod(shaped, target), seconds=1)
    assert goodput > 150e6


@pytest.mark.measures
def test_loss_is_the_pairs_alone(shaped: Lab) -> None:
    packets = 4000
    lost = count_lost(Pod(shaped, 2), Pod(shaped, 1), packets=packets)
    # 400 expected, standard deviation 19: five of those on either side.
    assert 305 <= lost <= 495
    assert count_lost(Pod(shaped, 1), Pod(shaped, 2), packets=packets) == 0
    assert count_lost(Pod(shaped, 3), Pod(shaped, 1), packets=packets) == 0
    lost6 = count_lost(Pod(shaped, 2), Pod(shaped, 1), packets=packets, family=socket.AF_INET6)
    assert 305 <= lost6 <= 495


def test_a_links_loss_goes_the_way_it_says(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 3\nlinks: {node-1: {loss: 1, direction: in}}")
    assert count_lost(Pod(lab, 2), Pod(lab, 1), packets=50) == 50
    assert count_lost(Pod(lab, 1), Pod(lab, 2), packets=50) == 0
    assert count_lost(Pod(lab, 2), Pod(lab, 3), packets=50) == 0


def test_an_odd_mtu_is_the_pods_too(shaped: Lab) -> None:
    with Pod(shaped, 4).udp() as sender:
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        with pytest.raises(OSError, match="Message too long") as caught:
            sender.sendto(bytes(1400 - 28 + 1), (Pod(shaped, 2).v4, 9))
        assert caught.value.errno == errno.EMSGSIZE
    _, mss = tcp_goodput(Pod(shaped, 3), Pod(shaped, 4), seconds=1)
    assert mss == 1348


def path_mtu(source: Pod, target: Pod, family: int) -> int:
    """What the source knows of the path after it sent a packet that fits its own link only."""
    level, discover, known = (
        (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU)
        if family == socket.AF_INET
        else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU)
    )
    with source.udp(family) as sender, target.udp(family) as receiver:
        sender.setsockopt(level, discover, IP_PMTUDISC_DO)
        sender.connect(receiver.getsockname())
        receiver.settimeout(0.3)
        with suppress(TimeoutError):
            # Refused here already where the source knew it before.
            with suppress(OSError):
                sender.send(bytes(1450))
            receiver.recv(2048)
            pytest.fail("a packet that is too large came through")
        return sender.getsockopt(level, known)


@pytest.fixture(scope="module")
def narrow(make_lab: LabMaker) -> Lab:
    return make_lab("""
nodes: 3
links: {node-2: {delay: 1ms}}
pairs:
  - {from: node-1, to: node-2, drop_larger_than: 1300, delay: 1ms}
  - {from: node-1, to: node-3, drop_larger_than: 1300, icmp: false}
""")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize(("source", "target"), [("pod", "pod"), ("host", "host"), ("pod", "host"), ("host", "pod")])
def test_packets_that_are_too_large(narrow: Lab, family: int, source: Role, target: Role) -> None:
    one, two, three = Pod(narrow, 1, source), Pod(narrow, 2, target), Pod(narrow, 3, target)
    headers = 28 if family == socket.AF_INET else 48
    for far in (two, three):
        assert count_lost(one, far, packets=20, data=1300 - headers, family=family) == 0
        assert count_lost(one, far, packets=20, data=1300 - headers + 1, family=family) == 20
        assert count_lost(far, one, packets=20, data=1500 - headers, family=family) == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("source", ["peer", "host"])
def test_a_router_tells_of_packets_that_are_too_large(narrow: Lab, family: int, source: Role) -> None:
    one = Pod(narrow, 1, source)
    assert path_mtu(one, Pod(narrow, 2, "peer"), family) == 1300
    assert path_mtu(one, Pod(narrow, 2, "host"), family) == 1300
    assert path_mtu(one, Pod(narrow, 3, "peer"), family) == 1500


@pytest.mark.parametrize("role", ["pod", "host"])
@pytest.mark.parametrize("v6", [False, True])
def test_tcp_gets_through_a_narrow_path_in_full_segments(narrow: Lab, role: Role, v6: bool) -> None:
    goodput, _ = tcp_goodput(Pod(narrow, 1, role), Pod(narrow, 2, role), seconds=1, v6=v6)
    assert goodput > 50e6


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_link_with_a_smaller_mtu(shaped: Lab, family: int) -> None:
    headers = 28 if family == socket.AF_INET else 48
    three, four = Pod(shaped, 3), Pod(shaped, 4)
    assert count_lost(three, four, packets=20, data=1400 - headers, family=family) == 0
    assert count_lost(three, four, packets=20, data=1400 - headers + 1, family=family) == 20
    assert path_mtu(three, four, family) == 1400
    assert path_mtu(Pod(shaped, 3, "host"), Pod(shaped, 4, "host"), family) == 1400
    assert count_lost(four, three, packets=20, data=1400 - headers, family=family) == 0


@pytest.mark.measures
def test_what_a_host_sends_has_the_pairs_rate_and_loss(shaped: Lab) -> None:
    host = Pod(shaped, 2, "host")
    assert 50 <= count_lost(host, Pod(shaped, 1, "host"), packets=1000) <= 160
    assert_filled(host, Pod(shaped, 3, "host"), 40e6)


@pytest.mark.measures
def test_set_reshapes_what_runs(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 2\nlinks: {node-1: {rate: 20M, mtu: 1400}}\npairs: [{from: node-2, to: node-1, loss: 1}]")
    one, two = Pod(lab, 1), Pod(lab, 2)
    assert count_lost(two, one, packets=20) == 20

    set_lab(lab.name, load_spec("nodes: 2\npairs: [{from: node-1, to: node-2, rate: 30M, drop_larger_than: 1400}]"))
    assert count_lost(two, one, packets=20) == 0
    assert_filled(one, two, 30e6)
    set_lab(lab.name, load_spec("nodes: 2\npairs: [{from: node-1, to: node-2, rate: 50M}]"))
    assert count_lost(one, two, packets=20, data=1472) == 0
    assert_filled(one, two, 50e6)
    set_lab(lab.name, load_spec("nodes: 2\nlinks: {node-2: {rate: 60M, direction: in}}"))
    assert_filled(one, two, 60e6)
    with pytest.raises(LabInputError, match=r"^nodes: lab .* has 2, and that cannot change"):
        set_lab(lab.name, load_spec("nodes: 3"))


def test_a_shape_set_later_is_the_same_as_one_from_the_start(make_lab: LabMaker) -> None:
    first, second = make_lab(SHAPED), make_lab("nodes: 4\nlinks: {node-2: {rate: 5M, loss: 0.5}, node-3: {mtu: 2000}}")
    set_lab(second.name, load_spec(SHAPED))

    commands = ("tc qdisc", "tc class show dev eth0", "iptables -S", "ip6tables -S", "ip route", "ip -o link")

    def shown(lab: Lab) -> str:
        def show() -> str:
            texts = [subprocess.run(each.split(), capture_output=True, text=True, check=False) for each in commands]
            return "\n".join(text.stdout for text in texts)

        nodes = [f"node-{number}" for number in range(1, 5)]
        places = [fabric_namespace(lab.name), *(node_namespace(lab.name, node) for node in nodes)]
        text = "\n".join(inside(place, show) for place in places)
        # What two labs cannot have alike: their blocks of addresses, MACs, names.
        text = re.sub(r"198\.18\.(\d+)", lambda match: f"v4-{int(match[1]) % 8}", text)
        text = re.sub(r"6d[0-9a-f]{2}:|link/ether [0-9a-f:]{17}", "", text)
        return text.replace(lab.name, "LAB")

    assert shown(first) == shown(second)


def test_the_machines_own_network_is_left_alone(make_lab: LabMaker) -> None:
    before = root_network()
    make_lab("nodes: 2\nlinks: {node-1: {loss: 0.5}}")
    assert root_network() == before


def test_a_lab_that_cannot_be_built_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "tc"
    refusing.write_text("#!/bin/sh\necho 'Error: Specified qdisc kind is unknown.' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")
    with pytest.raises(LabError, match=r"tc refused what it was told .*Specified qdisc kind is unknown"):
        up(load_spec("nodes: 1"), "nm-test-refused", agents=False)
    assert not [path for path in Path("/run/netns").iterdir() if path.name.startswith("nm-nm-test-refused")]
    assert not Path("/run/netmesh/labs/nm-test-refused").exists()
