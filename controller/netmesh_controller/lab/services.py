"""The Services of a lab, as the rules that kube-proxy writes in its iptables mode. Pure: addresses in, a table out.

The chains, their order and their rules in the table nat are those of pkg/proxy/iptables of Kubernetes 1.36: a new
connection walks KUBE-SERVICES rule by rule to its Service's chain (KUBE-SVC-…), from there to that of the one pod
behind it (KUBE-SEP-…), and gets the pod's address (DNAT). Where it came from this pod itself, or from elsewhere than
the node's pods, it gets the node's address for its own (MASQUERADE), or the answer would not come back this way.
"Elsewhere" is told as with kube-proxy's `detectLocalMode: NodeCIDR`.

Not here: the table filter, where kube-proxy refuses Services without a pod, and NodePorts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from netmesh_controller.lab.addressing import LabAddresses
from netmesh_controller.lab.spec import LabSpec

Family = Literal[4, 6]
# What tests of an agent use: the tool pool, and the STAMP reflector.
PORTS: dict[str, tuple[int, ...]] = {"tcp": tuple(range(61863, 61871)), "udp": tuple(range(61862, 61871))}
_MASQUERADE = "0x4000"
# Where the Services of other people are: the blocks that kubeadm and kind take for Services.
_UNRELATED: dict[Family, IPv4Address | IPv6Address] = {4: IPv4Address("10.96.0.1"), 6: IPv6Address("fd00:10:96::1")}
_UNRELATED_CHAIN = "KUBE-SVC-UNRELATED"


@dataclass(frozen=True)
class _Port:
    """One port of one Service, and the pod behind it."""

    name: str
    protocol: str
    service: str
    pod: str
    number: int

    def chain(self, kind: str) -> str:
        """A name as kube-proxy makes them: 16 characters of a hash."""
        digest = hashlib.sha256(f"{self.name}{self.protocol}{self.pod if kind == 'SEP' else ''}".encode()).digest()
        return f"KUBE-{kind}-{base64.b32encode(digest).decode()[:16]}"

    def meant(self) -> str:
        """The match of what is sent to this port."""
        return f"-m {self.protocol} -p {self.protocol} -d {self.service} --dport {self.number}"


def nat_table(spec: LabSpec, addresses: LabAddresses, node: str, family: Family) -> str:
    """A node's whole table nat for iptables-restore or ip6tables-restore; without Services an empty text."""
    ports = list(_ports(addresses, family))
    if not ports:
        return ""
    mine = addresses.nodes[node]
    local = mine.pods_v4 if family == 4 else mine.pods_v6
    chains, rules = [], []
    for port in ports:
        service, endpoint = port.chain("SVC"), port.chain("SEP")
        chains += [service, endpoint]
        target = f"[{port.pod}]:{port.number}" if family == 6 else f"{port.pod}:{port.number}"
        comment = f'-m comment --comment "{port.name}"'
        cluster_comment = f'-m comment --comment "{port.name} cluster IP"'
        rules += [
            f"-A KUBE-SERVICES {cluster_comment} {port.meant()} -j {service}",
            f"-A {service} {cluster_comment} {port.meant()} ! -s {local} -j KUBE-MARK-MASQ",
            f"-A {service} {comment} -j {endpoint}",
            f"-A {endpoint} {comment} -s {port.pod} -j KUBE-MARK-MASQ",
            f"-A {endpoint} {comment} -m {port.protocol} -p {port.protocol} -j DNAT --to-destination {target}",
        ]
    return "\n".join(
        [
            "*nat",
            *(f":{chain} ACCEPT [0:0]" for chain in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")),
            *(f":{chain} - [0:0]" for chain in ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")),
            *(f":{chain} - [0:0]" for chain in (_UNRELATED_CHAIN, *chains)),
            '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
            '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
            '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
            f"-A KUBE-POSTROUTING -m mark ! --mark {_MASQUERADE}/{_MASQUERADE} -j RETURN",
            f"-A KUBE-POSTROUTING -j MARK --xor-mark {_MASQUERADE}",
            "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
            f"-A KUBE-MARK-MASQ -j MARK --or-mark {_MASQUERADE}",
            *_unrelated(spec, family),
            *rules,
            "COMMIT",
            "",
        ]
    )


def rules_met(spec: LabSpec, addresses: LabAddresses) -> int:
    """The rules of KUBE-SERVICES, in each node and family: what a connection that is for no Service walks through."""
    return spec.services.unrelated_rules + len(list(_ports(addresses, 4)))


def _ports(addresses: LabAddresses, family: Family) -> Iterator[_Port]:
    for name, node in addresses.nodes.items():
        for role, service in node.services.items():
            pod = node.pods[role].pod
            ends = (str(service.v4), str(pod.v4.ip)) if family == 4 else (str(service.v6), str(pod.v6.ip))
            for protocol, numbers in PORTS.items():
                for number in numbers:
                    yield _Port(f"netmesh/{name}-{role}:{protocol}-{number}", protocol, *ends, number)


def _unrelated(spec: LabSpec, family: Family) -> Iterator[str]:
    """Services of others, which nobody here uses: one rule each, since only those are met on the way to ours."""
    first = int(_UNRELATED[family])
    for number in range(spec.services.unrelated_rules):
        address = ip_address(first + number)
        yield (
            f'-A KUBE-SERVICES -m comment --comment "unrelated/service-{number}:http cluster IP" '
            f"-m tcp -p tcp -d {address} --dport 80 -j {_UNRELATED_CHAIN}"
        )
