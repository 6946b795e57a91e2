"""What each agent is to be told: whom to probe in this turn, and whose probes to answer. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from netmesh_controller.clients.stamp import ProbePeer, Probing, StampSession
from netmesh_controller.engines.monitoring.members import Member
from netmesh_controller.mesh.probing.peers import Peering

# The session that every reflector answers the mesh by. A session is one reflector's own matter, so that the same
# identifier serves all; tests choose theirs at random, and ask again where this one is taken.
SSID = 0xFF00
# How long an agent goes on while nobody asks; it keeps the reports of an hour.
LEASE_SECONDS = 7200.0


def wanted(peering: Peering, members: Mapping[str, Member], *, interval_seconds: float) -> dict[str, Probing]:
    """The configuration of every member, with version 0; a peer whose reflector has no port is left out."""
    probed_by: dict[str, list[str]] = defaultdict(list)
    probes: dict[str, list[str]] = {name: [] for name in members}
    for source, target in peering.pairs():
        if source in members and target in members and _way(members[source], members[target]) is not None:
            probes[source].append(target)
            probed_by[target].append(source)
    # One of each: where a thousand nodes probe all others, a million else.
    known: dict[ProbePeer, ProbePeer] = {}

    def peer(source: str, target: str) -> ProbePeer:
        one = _peer(members[source], members[target])
        return known.setdefault(one, one)

    return {
        name: Probing(
            version=0,
            peers=tuple(peer(name, target) for target in sorted(probes[name])),
            answered=_answered(members, probed_by[name]),
            interval_seconds=interval_seconds,
            lease_seconds=LEASE_SECONDS,
        )
        for name in members
    }


def peers_of(probing: Probing, members: Mapping[str, Member]) -> tuple[str, ...]:
    """The nodes behind a configuration's peers, in their order."""
    at = {address: name for name, member in members.items() for address in member.addresses.values()}
    return tuple(at[peer.address] for peer in probing.peers)


def _way(source: Member, target: Member) -> int | None:
    """The family by which one reaches the other."""
    if target.stamp_port is None:
        return None
    return next((family for family in (4, 6) if family in source.addresses and family in target.addresses), None)


def _peer(source: Member, target: Member) -> ProbePeer:
    family = _way(source, target)
    if family is None or target.stamp_port is None:
        raise ValueError(f"{source.node} has no way to the reflector of {target.node}")
    same_clock = source.boot_id is not None and source.boot_id == target.boot_id
    return ProbePeer(target.addresses[family], target.stamp_port, SSID, same_clock=same_clock)


def _answered(members: Mapping[str, Member], sources: list[str]) -> tuple[StampSession, ...]:
    if not sources:
        return ()
    addresses = sorted({address for name in sources for address in members[name].all_addresses})
    return (StampSession(SSID, tuple(addresses)),)
