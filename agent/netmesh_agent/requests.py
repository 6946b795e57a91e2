"""Is what a request asks for possible here? Pure checks; Refused names the field that is wrong."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence

from netmesh_agent.errors import Refused
from netmesh_agent.settings import Limits
from netmesh_agent.tools import INSTRUMENTS
from netmesh_agent.tools.base import Instrument, Spec
from netmesh_agent.tools.stamp import STAMP


def instrument_for(spec: Spec, limits: Limits, versions: Mapping[str, str]) -> Instrument:
    """The instrument that can run `spec` on this node; `versions` are the tools that are installed.

    Raises Refused: `refused` for a value out of range or beyond the node's limits, `tool_missing` where the program
    is not installed, and what the instrument itself answers.
    """
    instrument = INSTRUMENTS.get(spec.instrument)
    if instrument is None:
        known = ", ".join(INSTRUMENTS)
        raise Refused("not_supported", f"there is no instrument '{spec.instrument}'; there are {known}", "instrument")
    _check_ranges(spec)
    _check_limits(spec, limits)
    if spec.instrument not in versions:
        raise Refused("tool_missing", f"{spec.instrument} is not installed on this node", "instrument")
    refusal = instrument.refuse(spec)
    if refusal is not None:
        raise Refused(refusal.code, refusal.message, refusal.field or "")
    return instrument


def _check_ranges(spec: Spec) -> None:
    if spec.family not in {4, 6}:
        raise Refused("refused", f"family is 4 or 6, not {spec.family}", "family")
    if spec.duration_seconds < 1:
        # Tools read 0 as endless.
        raise Refused("refused", "duration_seconds is a whole number of seconds, at least 1", "duration_seconds")
    if not (math.isfinite(spec.interval_seconds) and 0.1 <= spec.interval_seconds <= 60):
        raise Refused("refused", "interval_seconds is between 0.1 and 60", "interval_seconds")
    if spec.streams < 1:
        raise Refused("refused", "streams is at least 1", "streams")
    if spec.offered_bits_per_second == 0:
        raise Refused("refused", "offered_bits_per_second is above 0, or not set", "offered_bits_per_second")


def _check_limits(spec: Spec, limits: Limits) -> None:
    seconds = spec.duration_seconds + spec.omit_seconds
    if seconds > limits.seconds:
        raise Refused("refused", f"this node allows {limits.seconds} s a test, not {seconds} s", "duration_seconds")
    if spec.streams > limits.streams:
        raise Refused("refused", f"this node allows {limits.streams} streams, not {spec.streams}", "streams")
    allowed = limits.bits_per_second
    if allowed is not None and spec.test.endswith("-bandwidth"):
        offered = spec.offered_bits_per_second
        if offered is None or offered > allowed:
            asked = "as much as goes through" if offered is None else f"{offered} bit/s"
            raise Refused("refused", f"this node allows {allowed} bit/s, not {asked}", "offered_bits_per_second")


def check_target(address: str, ports: Sequence[int], family: int, needed: int) -> None:
    """Raises Refused where the target of a test is not an address of the family with as many ports as are needed."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise Refused("refused", f"target_address is an IP address, not '{address}'", "target_address") from None
    if parsed.version != family:
        raise Refused("refused", f"target_address {address} is not of family IPv{family}", "target_address")
    if len(ports) != needed or not all(0 < port < 65536 for port in ports):
        raise Refused("refused", f"target_ports are {needed} ports between 1 and 65535", "target_ports")


def check_session(spec: Spec) -> None:
    """Raises Refused where a server side of STAMP has no session, or another one has."""
    if (spec.session is not None) != (spec.instrument == STAMP):
        raise Refused("refused", "a server side of STAMP names its session, and no other does", "stamp")


def check_question(address: str, port: int, timeout_seconds: float) -> None:
    """Raises Refused where a reflector cannot be asked at that address for so long."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Refused("refused", f"address is an IP address, not '{address}'", "address") from None
    if not 0 < port < 65536:
        raise Refused("refused", "port is 1 to 65535", "port")
    if not (math.isfinite(timeout_seconds) and 0 < timeout_seconds <= 60):
        raise Refused("refused", "timeout_seconds is above 0 and at most 60", "timeout_seconds")


def check_lease(seconds: float, limits: Limits) -> None:
    """Raises Refused where a lease is not a time that an endpoint may be held."""
    # A set opened ahead waits for one whole test before its own; both have their overheads.
    longest = 2 * limits.seconds + 60
    if not (math.isfinite(seconds) and 0 < seconds <= longest):
        raise Refused("refused", f"lease_seconds is above 0 and at most {longest}", "lease_seconds")
