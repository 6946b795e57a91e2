"""What a diagnosis shows of both ends' hosts."""

from __future__ import annotations

from tests.controller.mesh.diagnosis.cases import Case, host

from netmesh_controller.mesh.diagnosis.hosts import host_facts


def test_the_most_that_a_hosts_cores_had_to_do_is_told() -> None:
    facts = {(one.node, one.name): one.value for one in host_facts(Case(hosts={"b": host(softirq=0.9)}).seen())}
    assert facts["b", "softirq"] == "0.90 cores at most"
    assert facts["a", "softirq"] == "0.10 cores at most"
    assert facts["b", "steal"] == "0.00 cores at most"
    assert facts["b", "tcp_rmem"] == "4096 131072 6291456"


def test_what_nobody_watched_is_not_told() -> None:
    found = Case().seen()
    found.cells = []
    assert not {"softirq", "steal", "busiest_core"} & {one.name for one in host_facts(found)}
