"""Where packets of the continuous probe are lost: at a node, between two zones, on a pair. Pure.

A window has a few probes a pair, so that losses are judged as counts that are added up: of a node with all its peers,
of two zones, of a pair both ways (a probe that is not answered does not tell on which way it was lost). A count is out
of the ordinary where chance alone would hardly make it from the usual loss (Poisson, by a bound that says no less than
the truth and hardly more), and where the ratio is worth mentioning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Probes sent and lost, (n, n), of one of the windows that are added up.
Part = tuple[NDArray[np.generic], NDArray[np.generic]]

# A loss that is always to be expected.
USUAL = 1e-3
# From what loss beyond the usual on it is stated.
OF_MANY, OF_A_PAIR = 0.005, 0.01
# A node is to blame for what it loses with most of its peers: its worst ones are left out, and chance must hardly make
# the rest either. By then the place is known, so that no more than this is asked of them.
_LEFT_OUT = 0.25
_OF_THE_REST = 0.01
_LEAST_PEERS = 3
_LEAST_NODES_OF_A_ZONE = 3
# Where so many are bad, there is no ordinary.
_FEW = 1 / 3


@dataclass(frozen=True, slots=True)
class Lossy:
    """A place that loses: one node, a pair of nodes or a pair of zones, by their numbers; both ways are meant."""

    places: tuple[int, ...]
    lost: int
    sent: int
    usual: float
    confidence: float
    cells: int

    @property
    def ratio(self) -> float:
        """What was lost of what was sent."""
        return self.lost / self.sent


@dataclass(frozen=True, slots=True)
class Losses:
    """Everything that loses more than it should; `mesh` where so much of it does that no place is to blame."""

    nodes: tuple[Lossy, ...] = ()
    zones: tuple[Lossy, ...] = ()
    pairs: tuple[Lossy, ...] = ()
    mesh: Lossy | None = None

    def lasting(self, parts: Sequence[Part], zone: NDArray[np.intp], least: int, *, share: float = 1.0) -> Losses:
        """Those that were seen in as many of the parts whose sums they were found in: each with that `share` of the
        loss from which on one is stated."""

        def lasts(one: Lossy, rows: NDArray[np.bool_], columns: NDArray[np.bool_], from_what: float) -> bool:
            there = 0
            for sent, lost in parts:
                block, back = np.ix_(rows, columns), np.ix_(columns, rows)
                asked = int(sent[block].sum()) + int(sent[back].sum())
                missed = int(lost[block].sum()) + int(lost[back].sum())
                there += asked > 0 and missed / asked - one.usual >= share * from_what
            return there >= least

        place = np.arange(len(zone))
        every = np.ones(len(zone), dtype=bool)
        return Losses(
            tuple(one for one in self.nodes if lasts(one, place == one.places[0], every, OF_MANY)),
            tuple(one for one in self.zones if lasts(one, zone == one.places[0], zone == one.places[1], OF_MANY)),
            tuple(one for one in self.pairs if lasts(one, place == one.places[0], place == one.places[1], OF_A_PAIR)),
            self.mesh if self.mesh is not None and lasts(self.mesh, every, every, OF_MANY) else None,
        )


def losses(
    sent: NDArray[np.generic],
    lost: NDArray[np.generic],
    zone: NDArray[np.intp],
    alpha: float,
    *,
    of_a_pair: float = OF_A_PAIR,
) -> Losses:
    """What loses, of counts (n, n); `zone` has each node's zone as a number from 0, equal ones where there are none.

    Pairs without probes have 0; a pair is stated from `of_a_pair` beyond the usual on. By chance, anything is found
    with probability `alpha` in all at most.
    """
    sent_both, lost_both = _both(sent), _both(lost)
    usual = _usual(sent_both, lost_both, zone)
    mesh = _mesh(sent_both, lost_both, alpha / 4)
    zones = _zones(sent_both, lost_both, zone, usual, alpha / 4)
    for one in zones:
        a, b = one.places
        between = (zone[:, None] == a) & (zone[None, :] == b)
        sent_both[between | between.T] = lost_both[between | between.T] = 0
    nodes = _nodes(sent_both, lost_both, usual, alpha / 4)
    pairs = _pairs(sent_both, lost_both, usual, alpha / 4, of_a_pair)
    return Losses(tuple(nodes), tuple(zones), tuple(pairs), None if nodes or zones or pairs else mesh)


def chance(lost: NDArray[np.generic] | float, expected: NDArray[np.generic] | float) -> Floats:
    """The logarithm of an upper bound on the probability of at least so many, where so many are expected.

    It is Chernoff's, or, where that is less, the probability of exactly so many (its factorial by Robbins, A Remark on
    Stirling's Formula, 1955) times a geometric series that is above the rest of the tail. Chernoff's alone says five
    times too much of four that were lost, and so asked for a fifth.
    """
    seen, mean = np.asarray(lost, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        bound = seen - mean - seen * np.log(seen / mean)
        sharper = -0.5 * np.log(2 * np.pi * seen) - 1 / (12 * seen + 1) - np.log1p(-mean / (seen + 1))
        bound += np.minimum(sharper, 0.0)
    made: Floats = np.where((seen > mean) & (mean > 0), bound, 0.0)
    return made


def _both(counts: NDArray[np.generic]) -> Floats:
    made = counts.astype(np.float64)
    np.fill_diagonal(made, 0.0)
    return np.asarray(made + made.T)


def _usual(sent: Floats, lost: Floats, zone: NDArray[np.intp]) -> float:
    """What is usually lost: the median of nodes or of pairs of zones, whichever is less.

    The worst quarter of the nodes is left out first: in a small mesh, one of them is in much of what its peers lose.
    """
    sums = sent.sum(axis=1)
    rest = _kept(np.divide(lost.sum(axis=1), sums, out=np.zeros_like(sums), where=sums > 0))
    among = np.ix_(rest, rest)
    ratios = [_median(lost[among].sum(axis=1), sent[among].sum(axis=1))]
    number = int(zone.max(initial=0)) + 1
    if number > 1:
        member = (zone[:, None] == np.arange(number)).astype(np.float64)
        upper = np.triu_indices(number)
        ratios.append(_median((member.T @ lost @ member)[upper], (member.T @ sent @ member)[upper]))
    return max(USUAL, min(ratios))


def _median(lost: Floats, sent: Floats) -> float:
    some = sent > 0
    return float(np.median(lost[some] / sent[some])) if some.any() else 0.0


def _mesh(sent: Floats, lost: Floats, alpha: float) -> Lossy | None:
    """The whole mesh, where it still loses without the quarter of its nodes that lose most."""
    some = np.flatnonzero(sent.sum(axis=1))
    if len(some) < _LEAST_PEERS + 1:
        return None
    ratios = lost[some].sum(axis=1) / sent[some].sum(axis=1)
    among = np.ix_(some[_kept(ratios)], some[_kept(ratios)])
    # Each probe counts at both of its ends.
    kept_sent, kept_lost = sent[among].sum() / 2, lost[among].sum() / 2
    bound = float(chance(kept_lost, kept_sent * USUAL))
    if not kept_sent or bound >= math.log(alpha) or kept_lost / kept_sent - USUAL < OF_MANY:
        return None
    return _lossy((), np.triu(lost), np.triu(sent), USUAL, bound)


def _nodes(sent: Floats, lost: Floats, usual: float, alpha: float) -> list[Lossy]:
    """The worst first; what it loses is then nobody else's. Takes them out of the counts."""
    before = sent.copy(), lost.copy()
    count = int(np.count_nonzero(sent.sum(axis=1)))
    found: list[Lossy] = []
    for _ in range(count):
        kept_sent, kept_lost = _without_worst(sent, lost)
        bound = chance(lost.sum(axis=1), sent.sum(axis=1) * usual)
        rest = chance(kept_lost, kept_sent * usual)
        ratio = np.divide(kept_lost, kept_sent, out=np.zeros_like(kept_lost), where=kept_sent > 0)
        peers = np.count_nonzero(sent, axis=1)
        bad = (bound < math.log(alpha / count)) & (rest < math.log(_OF_THE_REST))
        bad &= (ratio - usual >= OF_MANY) & (peers >= _LEAST_PEERS)
        if not bad.any():
            return found
        node = int(np.argmax(np.where(bad, ratio, -1.0)))
        found.append(_lossy((node,), lost[node], sent[node], usual, bound[node] + math.log(count)))
        sent[node] = sent[:, node] = lost[node] = lost[:, node] = 0.0
        if len(found) > max(1, int(_FEW * count)):
            sent[:], lost[:] = before
            return []
    return found


def _without_worst(sent: Floats, lost: Floats) -> tuple[Floats, Floats]:
    """Each row's sums without its worst peers."""
    order = np.argsort(lost, axis=1, kind="stable")
    peers = np.count_nonzero(sent, axis=1)
    out = np.maximum(1, np.round(_LEFT_OUT * peers)).astype(np.intp)
    keep = np.arange(lost.shape[1])[None, :] < (lost.shape[1] - out)[:, None]
    return (
        np.where(keep, np.take_along_axis(sent, order, axis=1), 0.0).sum(axis=1),
        np.where(keep, np.take_along_axis(lost, order, axis=1), 0.0).sum(axis=1),
    )


def _zones(sent: Floats, lost: Floats, zone: NDArray[np.intp], usual: float, alpha: float) -> list[Lossy]:
    """Pairs of zones that lose although the worst nodes of either are left out."""
    number = int(zone.max(initial=0)) + 1
    members = [np.flatnonzero(zone == one) for one in range(number)]
    pairs = [(a, b) for a in range(number) for b in range(a + 1, number)]
    found = []
    for a, b in pairs:
        if min(len(members[a]), len(members[b])) < _LEAST_NODES_OF_A_ZONE:
            continue
        block = np.ix_(members[a], members[b])
        some_sent, some_lost = sent[block], lost[block]
        rows, columns = _kept(some_lost.sum(axis=1)), _kept(some_lost.sum(axis=0))
        kept_lost, kept_sent = some_lost[np.ix_(rows, columns)].sum(), some_sent[np.ix_(rows, columns)].sum()
        bound = float(chance(kept_lost, kept_sent * usual))
        if kept_sent and bound < math.log(alpha / len(pairs)) and kept_lost / kept_sent - usual >= OF_MANY:
            found.append(_lossy((a, b), some_lost, some_sent, usual, bound + math.log(len(pairs))))
    return found


def _kept(lost: Floats) -> NDArray[np.intp]:
    order: NDArray[np.intp] = np.argsort(lost, kind="stable")
    return order[: len(lost) - math.ceil(_LEFT_OUT * len(lost))]


def _pairs(sent: Floats, lost: Floats, usual: float, alpha: float, least: float) -> list[Lossy]:
    upper = np.triu(sent > 0, 1)
    count = int(np.count_nonzero(upper))
    if not count:
        return []
    bound = chance(lost, sent * usual)
    ratio = np.divide(lost, sent, out=np.zeros_like(lost), where=sent > 0)
    bad = upper & (bound < math.log(alpha / count)) & (ratio - usual >= least)
    places = [(int(a), int(b)) for a, b in np.argwhere(bad)]
    if len(places) > max(2, _FEW * count):
        return []
    return [_lossy(ab, lost[ab], sent[ab], usual, float(bound[ab]) + math.log(count)) for ab in places]


def _lossy(places: tuple[int, ...], lost: Floats, sent: Floats, usual: float, bound: float) -> Lossy:
    sure: Callable[[float], float] = lambda log: round(min(0.9999, 1 - math.exp(min(0.0, log))), 6)  # noqa: E731
    cells = 2 * int(np.count_nonzero(sent))
    return Lossy(places, int(np.sum(lost)), int(np.sum(sent)), usual, sure(bound), cells)
