"""Which packets of a lab are delayed, and by how much. Pure: a spec in, devices and `tc` lines out.

All that one node sends to another crosses the fabric's bridge. What is to be delayed is taken aside where it enters
the bridge (or, of the controller's own packets, where they leave its device) to a TAP device of the same bridge, one
for each delay and jitter that there is. A relay holds each frame there for that time and gives it back, and the
bridge hands it on as if it had just come. So nothing but the time changes: no route, no hop count, no address, no size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netmesh_controller.lab.addressing import LabAddresses
from netmesh_controller.lab.shaping import BRIDGE, u32
from netmesh_controller.lab.spec import LabSpec

# A delay and its jitter, in nanoseconds.
Held = tuple[int, int]
_AT_ONCE: Held = (0, 0)


@dataclass(frozen=True)
class Delays:
    """The TAP devices with their delays in nanoseconds, those of them that vary with the most that they add, and the
    `tc` lines that lead to them; empty without delays.
    """

    devices: dict[str, int] = field(default_factory=dict)
    jitters: dict[str, int] = field(default_factory=dict)
    queue: tuple[str, ...] = ()


def delays(spec: LabSpec, addresses: LabAddresses) -> Delays:
    """What the file says of delays."""
    places: list[str | None] = [*spec.names(), None]
    ways = {
        source: {
            target: (round(spec.delay(source, target) * 1e9), round(spec.jitter(source, target) * 1e9))
            for target in places
            if target != source
        }
        for source in places
    }
    distinct = sorted({held for way in ways.values() for held in way.values()} - {_AT_ONCE})
    names = {held: f"delay-{number}" for number, held in enumerate(distinct, start=1)}
    lines: list[str] = []
    for source, way in ways.items():
        if set(way.values()) - {_AT_ONCE}:
            device, side = (source, "ingress") if source is not None else (BRIDGE, "egress")
            lines.append(f"qdisc add dev {device} clsact")
            for match, held in _matches(source, way, addresses):
                aside = f"action mirred egress redirect dev {names[held]}"
                lines.append(f"filter add dev {device} {side} {match} {aside}")
    delayed = {name: delay for (delay, _), name in names.items()}
    return Delays(delayed, {name: jitter for (_, jitter), name in names.items() if jitter}, tuple(lines))


def _matches(source: str | None, way: dict[str | None, Held], addresses: LabAddresses) -> Iterator[tuple[str, Held]]:
    """The filters for what one place sends, each with how long it is held."""
    fabric = (f"{addresses.fabric.v4.ip}/32", f"{addresses.fabric.v6.ip}/128")
    # What the fabric routes for others leaves it as well, and is none of its own.
    own_v4, own_v6 = fabric if source is None else (None, None)
    if len(set(way.values())) == 1:
        held = next(iter(way.values()))
        yield u32("0.0.0.0/0", own_v4), held
        yield u32("::/0", own_v6), held
        return
    for target, held in way.items():
        node = addresses.nodes[target] if target is not None else None
        for prefix in (*node.here_v4(), *node.here_v6()) if node is not None else fabric:
            if held != _AT_ONCE:
                yield u32(prefix, own_v6 if ":" in prefix else own_v4), held
