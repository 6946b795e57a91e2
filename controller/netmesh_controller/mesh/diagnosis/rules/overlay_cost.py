"""The pods' network costs what the hosts' own does not."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rates import TEST, VALUE, shortfalls
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.steps import slower

_SHARE = 0.75


def judge(seen: Seen) -> Iterator[Claim]:
    """Between pods clearly less goes through than between the hosts under them, and no pair of pods gets more: a pair
    that is slow among pods is another's case.
    """
    if next(shortfalls(seen), None) is not None:
        return
    direction = slower(seen)
    pods = seen.value(TEST, VALUE, direction, streams=1)
    hosts = seen.value(TEST, VALUE, direction, streams=1, path="host-to-host")
    if pods is None or hosts is None or pods >= _SHARE * hosts:
        return
    source, target = seen.ends(direction)
    yield Claim(
        {"source": source, "target": target, "path": "pod-to-pod"},
        0.85,
        f"From {source} to {target} pods get {pods / 1e6:.0f} Mbit/s, the hosts under them {hosts / 1e6:.0f}.",
        (Fact(what="received, pod to pod", measured=pods, expected=hosts, unit="bit/s", source="host-to-host"),),
    )


RULE = Rule(
    code="overlay_cost",
    needs=("bandwidth", "hosts"),
    judge=judge,
    look=(
        "ip -d link show",
        "ethtool -k DEVICE",
        "tc -s qdisc show",
    ),
    advice="Look at the network plugin: encapsulation, encryption, limits of the pods' devices, offloads.",
    explains=("rate_limited", "asymmetric", "slow_node", "slow_zone_pair", "bufferbloat"),
)
