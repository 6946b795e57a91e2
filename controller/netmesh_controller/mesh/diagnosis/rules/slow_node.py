"""One end is slow with everybody."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.latency import network, of_others
from netmesh_controller.mesh.diagnosis.rates import TEST, VALUE, others_from, others_to, shortfalls
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

# With others it gets about as little as in this pair.
_ALIKE = 1.25
_LIFTED = 1.5
_DELAY_TIMES, _DELAY_SECONDS = 3.0, 0.5e-3


def judge(seen: Seen) -> Iterator[Claim]:
    """The sender is as slow with another target, or the receiver with another source, while the other end is not."""
    for short in shortfalls(seen):
        source, target = seen.ends(short.direction)
        sends, receives = others_from(seen, source), others_to(seen, target)
        four = seen.value(TEST, VALUE, short.direction, streams=4)
        if four is not None and four > _LIFTED * short.here:
            continue  # more streams get more: not the node's rate, but a stream's
        slow_sender = bool(sends) and max(sends) < _ALIKE * short.here
        slow_receiver = bool(receives) and max(receives) < _ALIKE * short.here
        if slow_sender == slow_receiver:
            continue
        node, way, alike = (source, "out", sends) if slow_sender else (target, "in", receives)
        verb = "sends" if slow_sender else "receives"
        yield Claim(
            {"node": node, "direction": way},
            0.9 if four is not None else 0.8,
            f"{node} {verb} slowly with others as well: {max(alike) / 1e6:.0f} Mbit/s, here {short.here / 1e6:.0f}.",
            (
                short.fact(seen),
                Fact(what=f"{node} with others", measured=max(alike), expected=short.expected, unit="bit/s"),
            ),
        )
    yield from _delayed(seen)


def _delayed(seen: Seen) -> Iterator[Claim]:
    here, others = network(seen, "p50"), of_others(seen, "p50")
    best = min(others.values(), default=None)
    if here is None or best is None or here < _DELAY_TIMES * best or here - best < _DELAY_SECONDS:
        return
    for node in (seen.source, seen.target):
        mine = [value for pair, value in others.items() if node in pair]
        rest = [value for pair, value in others.items() if node not in pair]
        if mine and rest and min(mine) > 0.5 * here and max(rest) < 0.5 * here:
            yield Claim(
                {"node": node},
                0.9,
                f"Everything that reaches or leaves {node} takes long: {min(mine) * 1e3:.2f} ms with others, "
                f"{here * 1e3:.2f} ms here.",
                (Fact(what="network round trip, p50", measured=here, expected=best, unit="s", source="STAMP"),),
            )


RULE = Rule(
    code="slow_node",
    needs=("probe",),
    judge=judge,
    look=(
        "ethtool DEVICE",
        "ip -s -s link show dev DEVICE",
        "tc -s qdisc show dev DEVICE",
    ),
    advice="Look at the node, not at the pair: its link's speed and errors, its shaping, what else it carries.",
    explains=("asymmetric", "rate_limited", "bufferbloat", "delay_on_path", "slow_zone_pair"),
)
