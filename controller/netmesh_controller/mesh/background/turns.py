"""Background bandwidth: which pair is tested next, at which rate, or when to ask again. Pure.

A test takes a share of the slower line's rate, and never all that goes through. The bytes of a day (UTC) are spread
over the rest of it: each test is paid for before it begins, with the most that it can send, and the next one is due
when the time that its bytes stand for has passed. Of the pairs that may be tested now the stalest is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.hostwindow import busy_share
from netmesh_controller.mesh.traffic import stream

DAY_SECONDS = 86400
# What a test is told, and what opening and closing take beyond it.
TEST_SECONDS, OMIT_SECONDS = 2, 1
OVERHEAD_SECONDS = 6.0
# A slower test would say more of its first packets than of the path.
LEAST_BITS_PER_SECOND = 1_000_000
# Connections, and the agent's own probes and calls beside the test.
_FIXED_BYTES = 256 * 1024
# Where no line rate is known: from here on a device carries others' traffic (the witness' threshold).
BUSY_BYTES_PER_SECOND = 1.25e6

WaitReason = Literal["budget", "not_due", "no_rate", "no_pair", "rest", "midnight"]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What tests in the background may take.

    `day_bytes`: by all of them in a day, in both directions, headers included. `share` (0 to 1) of the slower line's
    rate, and `rate` (bit/s) at most; where no line is known that is the rate, and without it there is no test. A node
    rests for `rest_seconds` after a test, so that the continuous probe has windows beside no test. `busy_cpu` is the
    part of its cores (0 to 1) above which a node is not calm.
    """

    day_bytes: int
    share: float = 0.1
    rate: int | None = None
    rest_seconds: float = 60.0
    busy_cpu: float = 0.5


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent: bytes in the day that `at` (seconds since 1970) lies in, the beginning of the last test, and the
    bytes of that one.
    """

    spent: int = 0
    at: float | None = None
    last: int = 0

    def spent_on(self, now: float) -> int:
        """The bytes spent in the day of `now`."""
        return self.spent if self.at is not None and _day(self.at) == _day(now) else 0

    def reserved(self, cost: int, now: float) -> Ledger:
        """With a test that begins now and may send so much."""
        return Ledger(self.spent_on(now) + cost, now, cost)

    def settled(self, cost: int, counted: int | None) -> Ledger:
        """With what the last test did send; None where nobody knows, and then it is what it might have sent."""
        return self if counted is None else Ledger(max(0, self.spent - cost + counted), self.at, counted)

    def due(self, cost: int, day_bytes: int, now: float) -> float:
        """When a test of that cost may begin: what the day had left at the last test is spread over the rest of it.

        The end of the day where there is no room for it today.
        """
        end = float((_day(now) + 1) * DAY_SECONDS)
        spent = self.spent_on(now)
        if cost > day_bytes - spent:
            return end
        if self.at is None or spent == 0:
            return now
        return min(end, self.at + self.last * (end - self.at) / (day_bytes - spent + self.last))


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The nodes as they are now: the last turn of each ordered pair (n, n; -inf: never), and of each node (n) whether
    it may be tested, when its last test ended (-inf: never), and its line's rate (bit/s; NaN: not known).
    """

    nodes: tuple[str, ...]
    tried: Floats
    free: NDArray[np.bool_]
    ended: Floats
    lines: Floats


@dataclass(frozen=True, slots=True)
class Turn:
    """The pair that is tested now: by places, the rate it is offered, and the most bytes that this takes."""

    source: int
    target: int
    bits_per_second: int
    cost_bytes: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is tested before `until` (seconds since 1970), unless the mesh changes."""

    until: float
    reason: WaitReason


def cost_of(bits_per_second: float) -> int:
    """The most bytes that a test of that rate has on the wire, both ways, headers and its first second included."""
    each = stream(float(bits_per_second), None, None)
    return int((each.forward + each.back) * (TEST_SECONDS + OMIT_SECONDS + 1)) + _FIXED_BYTES


def rates(allowance: Allowance, lines: Floats) -> Floats:
    """What each ordered pair may be offered (n, n), in bit/s; NaN where it is not to be tested.

    That is where a line is not known and no rate is given, where the rate would be too low to say anything, or where
    one test costs more than a day has; and a node to itself.
    """
    shared = allowance.share * np.minimum.outer(lines, lines)
    if allowance.rate is not None:
        one = np.fmin.outer(lines, lines) * allowance.share
        shared = np.fmin(np.where(np.isnan(shared), one, shared), float(allowance.rate))
    shared = np.floor(shared)
    with np.errstate(invalid="ignore"):
        shared[shared < LEAST_BITS_PER_SECOND] = np.nan
        shared[_costs(shared) > allowance.day_bytes] = np.nan
    np.fill_diagonal(shared, np.nan)
    return shared


def decide(mesh: Mesh, allowance: Allowance, ledger: Ledger, now: float, *, seed: int = 0) -> Turn | Wait:
    """The pair to test now, or how long to wait. Of pairs that are equally stale those that are ready go first, and of
    these `seed` chooses.
    """
    offered = rates(allowance, mesh.lines)
    possible = np.isfinite(offered)
    midnight = float((_day(now) + 1) * DAY_SECONDS)
    if not possible.any():
        return Wait(midnight, "no_rate")
    costs = _costs(offered)
    affordable = possible & (np.nan_to_num(costs, nan=np.inf) <= allowance.day_bytes - ledger.spent_on(now))
    if not affordable.any():
        return Wait(midnight, "budget")
    if now + TEST_SECONDS + OMIT_SECONDS + OVERHEAD_SECONDS > midnight:
        # Its bytes would be those of two days.
        return Wait(midnight, "midnight")
    allowed = affordable & np.logical_and.outer(mesh.free, mesh.free)
    if not allowed.any():
        return Wait(midnight, "no_pair")
    # It is waited for where one of its nodes rests: if another went before it, two pairs could take turns for ever.
    stalest = np.where(allowed, mesh.tried, np.inf).min()
    rested = np.maximum.outer(mesh.ended, mesh.ended) + allowance.rest_seconds
    rested[~(allowed & (mesh.tried == stalest))] = np.inf
    if rested.min() > now:
        return Wait(float(rested.min()), "rest")
    ties = np.flatnonzero(rested <= now)
    chosen = int(ties[np.random.default_rng((seed, ties.size)).integers(ties.size)])
    source, target = divmod(chosen, len(mesh.nodes))
    rate = int(offered[source, target])
    cost = cost_of(rate)
    due = ledger.due(cost, allowance.day_bytes, now)
    return Turn(source, target, rate, cost) if due <= now else Wait(due, "not_due")


def why_busy(first: Sample, last: Sample, *, busy_cpu: float, line_bits_per_second: float | None) -> str | None:
    """Why a node that runs no test of ours is not calm between two samples, in words; None where it is calm.

    It is busy where more than `busy_cpu` (0 to 1) of its cores are, or where its device carries more than a twentieth
    of its line's rate (not known: 10 Mbit/s) in a direction. What the samples cannot tell is no hindrance.
    """
    part = busy_share(first, last)
    if part is not None and part > busy_cpu:
        return f"{part:.0%} of its cores are busy"
    seconds = last.monotonic_seconds - first.monotonic_seconds
    moved = device_bytes(first, last)
    if moved is None or seconds <= 0:
        return None
    most = BUSY_BYTES_PER_SECOND if line_bits_per_second is None else line_bits_per_second / 8 / 20
    carried = max(moved) / seconds
    return f"its device carries {8 * carried / 1e6:.3g} Mbit/s of others" if carried > most else None


def device_bytes(first: Sample, last: Sample) -> tuple[int, int] | None:
    """What the device sent and received between two samples; None where its counters are not known, or began anew."""
    grown = []
    for name in ("sent_bytes", "received_bytes"):
        before, after = first.device.get(name), last.device.get(name)
        if not isinstance(before, int) or not isinstance(after, int) or after < before:
            return None
        grown.append(after - before)
    return (grown[0], grown[1]) if first.device.get("name") == last.device.get("name") else None


def _costs(offered: Floats) -> Floats:
    # `cost_of` is linear in the rate but for the rounding.
    base, slope = cost_of(0.0), cost_of(1e12) - cost_of(0.0)
    return np.ceil(offered * (slope / 1e12)) + base + 1


def _day(now: float) -> int:
    return int(now // DAY_SECONDS)
