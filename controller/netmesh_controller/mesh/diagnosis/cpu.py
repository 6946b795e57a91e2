"""What the rules on CPU ask of an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim
from netmesh_controller.mesh.diagnosis.seen import Direction, Seen
from netmesh_controller.mesh.diagnosis.steps import short_of_others, slower
from netmesh_controller.mesh.document import Host

# Of one core: a stream of a tool is one thread.
_WHOLE_CORE = 0.9
# Part of the window that a tool's threads stood in the run queue; and in which it ran or stood there. One that sleeps
# for the rest waits for the network: what it waited for a core as well cost it nothing.
_WAITING, _RESTLESS = 0.25, 0.8


def falls_short(seen: Seen, direction: Direction) -> bool:
    """Whether waiting cost that direction anything: less goes through than between others, or nobody knows better."""
    known = seen.expected("tcp-bandwidth", "bits_per_second") is not None
    return not known or short_of_others(seen, direction)


def bound(seen: Seen, end: Literal["source", "target"]) -> Iterator[Claim]:
    """The end whose CPU is what limited the slower bandwidth test: its tool had no more of it."""
    role = "sends" if end == "source" else "receives"
    direction = slower(seen)
    cell = seen.cell("tcp-bandwidth", direction, streams=1)
    host: Host | None = getattr(cell.hosts, end) if cell is not None else None
    if cell is None or host is None or not host.window_seconds:
        return
    node = cell.source if end == "source" else cell.target
    used = host.tool_cpu_cores or 0.0
    waited = min(1.0, (host.tool_wait_seconds or 0.0) / host.window_seconds)
    if used >= _WHOLE_CORE:
        fact = Fact(what="the tool's own CPU", measured=used, expected=1.0, unit="cores", source=node)
        yield Claim({"node": node}, 0.85, f"The program that {role} on {node} used a whole core.", (fact,))
    elif waited >= _WAITING and used + waited >= _RESTLESS and falls_short(seen, direction):
        facts = (
            Fact(what="waiting for a core", measured=waited, expected=0.0, source=f"schedstat on {node}"),
            Fact(
                what="busiest core",
                measured=host.cpu_cores.busiest_core if host.cpu_cores else None,
                unit="cores",
                source=node,
            ),
        )
        sentence = (
            f"The program that {role} on {node} waited for a core for {waited:.0%} of its time, and hardly slept."
        )
        yield Claim({"node": node}, min(0.9, 0.5 + waited), sentence, facts)
