"""The way through the Service takes much longer to connect than the direct one."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

_TIMES, _LEAST_SECONDS = 1.5, 40e-6
HANDSHAKE = "handshake_round_trip_seconds"


def judge(seen: Seen) -> Iterator[Claim]:
    """The median connect through the Service is far above the direct one; or the Service does not answer at all."""
    direct = seen.value("tcp-connect", "connect_seconds", statistic="p50")
    through = seen.value("tcp-connect", "connect_seconds", statistic="p50", path="pod-to-service")
    reason = seen.gap("tcp-connect", path="pod-to-service")
    where = {"source": seen.source, "target": seen.target, "path": "pod-to-service"}
    if direct is not None and reason is not None and reason.code in ("refused", "timeout", "unreachable"):
        yield Claim(
            where,
            0.85,
            f"{seen.target} answers {seen.source} directly, and not through its Service.",
            (Fact(what=f"tcp-connect through the Service: {reason.message}"),),
        )
    # The kernel's own time from SYN to SYN-ACK is free of the program's waiting for a core.
    kernels = [seen.reported("tcp-connect", HANDSHAKE, path=path) for path in ("pod-to-pod", "pod-to-service")]
    what = "connect"
    if kernels[0] is not None and kernels[1] is not None:
        (direct, through), what = (kernels[0], kernels[1]), "the handshake"
    if direct is None or through is None or through < _TIMES * direct or through - direct < _LEAST_SECONDS:
        return
    yield Claim(
        where,
        0.85,
        f"A new connection through the Service takes {through * 1e6:.0f} µs, a direct one {direct * 1e6:.0f} µs.",
        (Fact(what=f"{what} through the Service, p50", measured=through, expected=direct, unit="s"),),
    )


RULE = Rule(
    code="service_cost",
    needs=("connect", "service"),
    judge=judge,
    look=(
        "iptables-save -t nat | grep -c KUBE",
        "ipvsadm -Ln",
        "kubectl get configmap kube-proxy -n kube-system -o yaml",
    ),
    advice="Count the rules of the node's kube-proxy; its nftables mode does not walk through them one by one.",
)
