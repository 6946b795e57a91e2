"""What a test's own traffic may come to on its devices, at most: all beyond it is not the test's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import CellKey, Summary

Values = Mapping[str, Summary | None]

# Ethernet, IP (version 6) and TCP with its options, or UDP: what a packet is longer than its data, rounded up.
_PACKET_BYTES = 100
# A connection is made and ended with up to five packets each way.
_CONNECTION_BYTES = 500
_LEAST_SEGMENT_BYTES = 500
_DEFAULT_MESSAGE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes a second, headers included: from the source to the target, and back."""

    forward: float
    back: float


def expected(key: CellKey, values: Values, load_bits_per_second: float | None) -> Traffic | None:
    """The most that a test with these values sends each way; `load_bits_per_second` received by a load beside it.

    None where that cannot be told: of both directions at once the other cell knows the other half.
    """
    parameters = key.parameters
    if parameters.direction == "bidirectional":
        return None
    kind = TESTS[key.test].kind
    loaded = Traffic(0.0, 0.0) if load_bits_per_second is None else stream(load_bits_per_second, None, None)
    if kind == "bandwidth":
        rates = [values.get(name) for name in ("sent_bits_per_second", "bits_per_second")]
        packets = values.get("packets_per_second")
        rate = max((one.mean for one in rates if one is not None), default=None)
        if rate is None:
            return None
        own = stream(rate, None if packets is None else packets.mean, parameters.mss_bytes)
    elif kind in {"latency", "connect", "transactions"}:
        each = _observations(values, parameters.offered_per_second)
        if each is None:
            return None
        bytes_each = (parameters.message_bytes or _DEFAULT_MESSAGE_BYTES) + _PACKET_BYTES
        if key.test in {"tcp-connect", "tcp-connect-request-response"}:
            bytes_each += _CONNECTION_BYTES
        own = Traffic(each * bytes_each, each * bytes_each)
    else:
        return None
    return Traffic(own.forward + loaded.forward, own.back + loaded.back)


def stream(bits_per_second: float, packets_per_second: float | None, mss_bytes: int | None) -> Traffic:
    """The most that a stream of data at that rate has each way."""
    data = bits_per_second / 8
    # What was lost was sent too: twice as many packets as arrived are a loss of a half.
    packets = max(data / min(mss_bytes or _LEAST_SEGMENT_BYTES, _LEAST_SEGMENT_BYTES), 2 * (packets_per_second or 0.0))
    # TCP answers each packet with an acknowledgement at most.
    return Traffic(data + packets * _PACKET_BYTES, packets * _PACKET_BYTES)


def _observations(values: Values, offered: int | None) -> float | None:
    for name in ("messages_per_second", "transactions_per_second"):
        known = values.get(name)
        if known is not None:
            return max(known.mean, offered or 0.0)
    if offered is not None:
        return float(offered)
    # One after the other without a pause.
    took = values.get("round_trip_seconds")
    return 1 / took.mean if took is not None and took.mean > 0 else None
