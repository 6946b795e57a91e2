"""Which way is better, and how a value is compared. Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netmesh_controller.mesh.catalogue import COST_VALUES

Better = Literal["more", "less"]

# Values that are not here (what was sent, packets a second) are neither good nor bad in themselves.
BETTER: Mapping[str, Better] = {
    "bits_per_second": "more",
    "transactions_per_second": "more",
    "messages_per_second": "more",
    "round_trip_seconds": "less",
    "network_round_trip_seconds": "less",
    "host_seconds": "less",
    "connect_seconds": "less",
    "jitter_seconds": "less",
    "loss_ratio": "less",
    "forward_loss_ratio": "less",
    "return_loss_ratio": "less",
    "retransmits": "less",
    "out_of_order_packets": "less",
    "mtu_bytes": "more",
    "black_hole": "less",
    "busy_cores": "less",
    "available_memory_bytes": "more",
    **dict.fromkeys(COST_VALUES, "less"),
}
# What is found out and not measured: two that differ do differ.
EXACT: frozenset[str] = frozenset({"mtu_bytes", "black_hole"})
# What may be 0, or counts events: the difference counts, not the ratio.
BY_DIFFERENCE: frozenset[str] = frozenset(
    {
        "loss_ratio",
        "forward_loss_ratio",
        "return_loss_ratio",
        "retransmits",
        "out_of_order_packets",
        "mtu_bytes",
        "black_hole",
    }
)
