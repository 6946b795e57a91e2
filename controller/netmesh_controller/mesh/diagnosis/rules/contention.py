"""Other traffic has the way's bandwidth."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rates import shortfalls, strangers
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen, largest

# Of the rate that is missing: other traffic that would explain it.
_EXPLAINS = 0.5


def judge(seen: Seen) -> Iterator[Claim]:
    """The devices carried bytes that were not the test's, enough to explain what it lacked."""
    for short in shortfalls(seen):
        cell = seen.cell("tcp-bandwidth", short.direction, streams=1)
        if cell is None or cell.witness is None:
            continue
        for end, node in (("source", cell.source), ("target", cell.target)):
            # Bytes a second; the pod's own device shows its own traffic, the host's that of all of its pods.
            pods = cell.witness.figures.get(f"{end}.other_traffic")
            other = largest((pods, strangers(seen, node, sends=end == "source")))
            if other is None or other * 8 < _EXPLAINS * (short.expected - short.here):
                continue
            yield Claim(
                {"node": node},
                0.85,
                f"{node} carried {other * 8 / 1e6:.0f} Mbit/s of other traffic meanwhile, and the test got "
                f"{short.here / 1e6:.0f} of {short.expected / 1e6:.0f}.",
                (
                    short.fact(seen),
                    Fact(what="other traffic", measured=other * 8, expected=0.0, unit="bit/s", source=node),
                ),
            )


RULE = Rule(
    code="contention",
    needs=("bandwidth", "others"),
    judge=judge,
    look=(
        "ss -tin",
        "ip -s link",
        "kubectl top pods -A",
    ),
    advice="See whose traffic it is (ss -ti and the pods' counters show it), and when it runs.",
    explains=("rate_limited", "asymmetric", "slow_node", "bufferbloat", "jitter_on_path", "slow_zone_pair"),
)
