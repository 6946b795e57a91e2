"""Services in a lab: the rules that kube-proxy would write, and that tools get through them."""

from __future__ import annotations

import json
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from tests.controller.lab.support import LabMaker, Pod, exchange, tcp_goodput

from netmesh_controller.lab import Lab, load_spec, set_lab, spec_of
from netmesh_controller.lab.addressing import lab_addresses, node_namespace
from netmesh_controller.lab.namespaces import inside
from netmesh_controller.lab.services import nat_table, rules_met

FAMILIES = [socket.AF_INET, socket.AF_INET6]
UNRELATED = 2000


@pytest.fixture(scope="module")
def lab(make_lab: LabMaker) -> Lab:
    started = time.monotonic()
    lab = make_lab(f"nodes: 2\nservices: {{unrelated_rules: {UNRELATED}}}")
    print(f"a lab of 2 nodes without agents, with {UNRELATED} unrelated rules: {time.monotonic() - started:.2f} s")
    return lab


def version(family: int) -> Literal[4, 6]:
    return 4 if family == socket.AF_INET else 6


def listed(lab: Lab, node: str, program: str) -> list[str]:
    """The rules of a node's table nat, as the kernel has them."""
    run = lambda: subprocess.run([program, "-t", "nat", "-S"], capture_output=True, text=True, check=True)  # noqa: E731
    return inside(node_namespace(lab.name, node), run).stdout.splitlines()


def test_a_service_in_kube_proxys_words() -> None:
    table = nat_table(spec_of(1), lab_addresses(0, 1), "node-1", 4).splitlines()
    first = next(line for line in table if line.startswith("-A KUBE-SERVICES"))
    service = first.split()[-1]
    endpoint = next(line for line in table if line.startswith(f"-A {service}") and "KUBE-SEP" in line).split()[-1]
    about = [
        re.sub(r'-m comment --comment "[^"]*" ', "", line) for line in table if service in line or endpoint in line
    ]
    meant = "-m tcp -p tcp -d 198.18.7.128 --dport 61863"
    assert about == [
        f":{service} - [0:0]",
        f":{endpoint} - [0:0]",
        f"-A KUBE-SERVICES {meant} -j {service}",
        f"-A {service} {meant} ! -s 198.18.1.8/29 -j KUBE-MARK-MASQ",
        f"-A {service} -j {endpoint}",
        f"-A {endpoint} -s 198.18.1.10 -j KUBE-MARK-MASQ",
        f"-A {endpoint} -m tcp -p tcp -j DNAT --to-destination 198.18.1.10:61863",
    ]
    assert re.fullmatch(r"KUBE-SVC-[A-Z2-7]{16}", service)
    assert re.fullmatch(r"KUBE-SEP-[A-Z2-7]{16}", endpoint)


@pytest.mark.parametrize("family", [4, 6])
def test_every_chain_is_its_own(family: Literal[4, 6]) -> None:
    addresses = lab_addresses(3, 8)
    chains = re.findall(r"^:(KUBE-S\S+)", nat_table(spec_of(8), addresses, "node-2", family), re.MULTILINE)
    assert len(chains) == len(set(chains)) == 2 + 2 * 8 * 2 * 17
    assert rules_met(spec_of(8), addresses) == 8 * 2 * 17


def test_large_labs_have_no_services() -> None:
    assert nat_table(spec_of(33), lab_addresses(0, 33), "node-1", 4) == ""


@pytest.mark.parametrize("program", ["iptables", "ip6tables"])
def test_unrelated_rules_come_first(lab: Lab, program: str) -> None:
    met = [line for line in listed(lab, "node-2", program) if line.startswith("-A KUBE-SERVICES ")]
    assert len(met) == lab.facts()["service_rules"] == UNRELATED + 2 * 2 * 17
    assert all("KUBE-SVC-UNRELATED" in line for line in met[:UNRELATED])
    assert not any("KUBE-SVC-UNRELATED" in line for line in met[UNRELATED:])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize(("node", "role"), [(1, "peer"), (2, "pod")])
def test_a_pod_reaches_another_as_itself(
    lab: Lab, family: socket.AddressFamily, kind: socket.SocketKind, node: int, role: Literal["pod", "peer"]
) -> None:
    source, target = Pod(lab, 1), Pod(lab, node, role)
    for port in (61863, 61870):
        address = lab.service_address(f"node-{node}", role, version(family))
        seen, answered = exchange(source, target, address, port, family, kind)
        assert seen == (source.v4 if family == socket.AF_INET else source.v6)
        assert answered == address


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_pod_reaches_itself_from_its_node(lab: Lab, family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    pod = Pod(lab, 1)
    address = lab.service_address("node-1", "pod", version(family))
    seen, answered = exchange(pod, pod, address, 61864, family, kind)
    node_end = lab.addresses.nodes["node-1"].pods["pod"].node
    assert seen == str(node_end.v4.ip if family == socket.AF_INET else node_end.v6.ip)
    assert answered == address


@pytest.mark.parametrize("family", FAMILIES)
def test_a_node_reaches_a_pod_of_another_under_its_own_address(lab: Lab, family: socket.AddressFamily) -> None:
    host = Pod(lab, 1, "host")
    address = lab.service_address("node-2", "peer", version(family))
    seen, _ = exchange(host, Pod(lab, 2, "peer"), address, 61865, family, socket.SOCK_STREAM)
    assert seen == (host.v4 if family == socket.AF_INET else host.v6)


def test_the_reflectors_port_is_there_for_udp(lab: Lab) -> None:
    address = lab.service_address("node-2", "pod", 4)
    exchange(Pod(lab, 1), Pod(lab, 2), address, 61862, socket.AF_INET, socket.SOCK_DGRAM)


def test_a_port_that_is_none_of_the_service_is_not_answered(lab: Lab) -> None:
    def connect() -> None:
        with pytest.raises(OSError, match=r"timed out|unreachable"):
            socket.create_connection((lab.service_address("node-2", "pod", 4), 61871), timeout=0.3)

    inside(Pod(lab, 1).namespace, connect)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(("node", "role"), [(2, "pod"), (1, "peer"), (1, "pod")])
def test_iperf3_through_a_service(lab: Lab, v6: bool, node: int, role: Literal["pod", "peer"]) -> None:
    address = lab.service_address(f"node-{node}", role, 6 if v6 else 4)
    goodput, _ = tcp_goodput(Pod(lab, 1), Pod(lab, node, role), seconds=1, to=address, port=61863)
    assert goodput > 50e6


@contextmanager
def server(pod: Pod, *command: str) -> Iterator[None]:
    process = pod.start(*command)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("test", ["tcp_bw", "tcp_lat", "udp_lat"])
@pytest.mark.parametrize(("node", "role"), [(2, "pod"), (1, "pod")])
def test_qperf_through_a_service_with_both_of_its_ports(
    lab: Lab, test: str, node: int, role: Literal["pod", "peer"]
) -> None:
    address = lab.service_address(f"node-{node}", role, 4)
    with server(Pod(lab, node, role), "qperf", "-lp", "61865"):
        for _ in range(50):
            # The second port is the one of the data.
            with Pod(lab, 1).start("qperf", "-lp", "61865", address, "-ip", "61866", "-t", "1", test) as client:
                output = client.communicate(timeout=30)[0]
            if client.returncode == 0:
                break
            time.sleep(0.1)
    assert client.returncode == 0
    assert re.search(r"(bw|latency)\s+=\s+[\d.]+ ", output), output


def test_udp_by_iperf3_through_a_service(lab: Lab) -> None:
    address = lab.service_address("node-2", "pod", 4)
    with server(Pod(lab, 2), "iperf3", "-s", "-p", "61867"):
        for _ in range(50):
            command = ("iperf3", "-c", address, "-p", "61867", "-u", "-b", "20M", "-t", "1", "-J")
            with Pod(lab, 1).start(*command) as client:
                result: dict[str, Any] = json.loads(client.communicate(timeout=30)[0])
            if "refused" not in result.get("error", ""):
                break
            time.sleep(0.1)
    assert result["end"]["sum"]["lost_percent"] < 1


def test_what_there_is_no_address_for(lab: Lab) -> None:
    by_role = {(each.node, each.role): each for each in lab.targets()}
    assert by_role["node-1", "host"].service is None
    assert by_role["node-2", "peer"].service == lab.service_address("node-2", "peer", 4)
    assert by_role["node-2", "peer"].service6 == lab.service_address("node-2", "peer", 6)
    assert lab.facts()["kube_proxy_mode"] == "iptables (lab)"


def connect_seconds(source: Pod, target: Pod, address: str) -> float:
    """The median time of a connect, the lowest of five: what else the machine does only adds."""

    def connects() -> float:
        times = []
        for _ in range(50):
            with socket.socket() as sock:
                started = time.perf_counter()
                sock.connect((address, 61868))
                times.append(time.perf_counter() - started)
        return statistics.median(times)

    with inside(target.namespace, lambda: socket.create_server((target.v4, 61868), backlog=1000)):
        return min(inside(source.namespace, connects) for _ in range(5))


@pytest.mark.measures
def test_every_new_connection_walks_through_the_rules(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 2")
    source, target = Pod(lab, 1), Pod(lab, 2)
    ways = {"service": lab.service_address("node-2", "pod", 4), "direct": target.v4}
    without = {way: connect_seconds(source, target, address) for way, address in ways.items()}
    set_lab(lab.name, load_spec("nodes: 2\nservices: {unrelated_rules: 2000}"))
    with_rules = {way: connect_seconds(source, target, address) for way, address in ways.items()}
    # Also one that is for no Service: a NAT rule is asked of every new connection.
    assert all(with_rules[way] > without[way] for way in ways), (without, with_rules)


def test_set_changes_the_unrelated_rules(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 1")
    for number in (10, 0):
        set_lab(lab.name, load_spec(f"nodes: 1\nservices: {{unrelated_rules: {number}}}"))
        met = [line for line in listed(lab, "node-1", "iptables") if line.startswith("-A KUBE-SERVICES ")]
        assert len(met) == number + 2 * 17
