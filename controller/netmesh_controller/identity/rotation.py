"""When authorities and certificates are made anew, and which of them are in use meanwhile. Pure: a state and a time in,
the next state out.

A new authority is first made known and signs nothing until every end has had time to read of it (`settle`); the old
one stays known until it ends. So at every moment each end trusts the certificate that the other shows.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from netmesh_controller.identity.certificates import AGENT_NAME, CONTROLLER_NAME, Pair, issue, new_authority, pair_from

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long authorities and certificates are valid; both are made anew after two thirds of it.

    `settle` is how long an authority is known before it signs: a kubelet takes a minute or two to bring a changed
    Secret to its pods.
    """

    authority: datetime.timedelta = datetime.timedelta(days=730)
    leaf: datetime.timedelta = datetime.timedelta(days=90)
    settle: datetime.timedelta = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identities:
    """Authorities, the oldest first, and both ends' certificates."""

    authorities: tuple[Pair, ...]
    agent: Pair
    controller: Pair

    @property
    def bundle(self) -> bytes:
        """The certificates of all authorities that are known, in PEM."""
        return b"".join(authority.certificate_pem for authority in self.authorities)

    @property
    def keys(self) -> bytes:
        """Their keys, in the same order."""
        return b"".join(authority.key_pem for authority in self.authorities)


def authorities_from(bundle: bytes, keys: bytes) -> tuple[Pair, ...]:
    """Authorities out of what `Identities.bundle` and `.keys` gave; ValueError where that is not what it is."""
    certificates, private = _PEM.findall(bundle), _PEM.findall(keys)
    if len(certificates) != len(private):
        raise ValueError(f"there are {len(certificates)} authorities and {len(private)} keys")
    return tuple(pair_from(*both) for both in zip(certificates, private, strict=True))


def renewed(
    authorities: Sequence[Pair],
    agent: Pair | None,
    controller: Pair | None,
    now: datetime.datetime,
    lifetimes: Lifetimes,
) -> Identities:
    """What is in use from `now` on, made of what was until now: nothing changes where nothing is due.

    `agent` and `controller` None: not made yet, or lost.
    """
    valid = [one for one in authorities if one.ends_at > now]
    if not valid or valid[-1].renew_at() <= now:
        valid.append(new_authority(now, lifetimes.authority))
    signing = _signing(valid, now, lifetimes)

    def held(leaf: Pair | None, name: str) -> Pair:
        if leaf is not None and leaf.renew_at() > now and leaf.is_signed_by(signing):
            return leaf
        return issue(name, signing, now, lifetimes.leaf)

    return Identities(tuple(valid), held(agent, AGENT_NAME), held(controller, CONTROLLER_NAME))


def next_due(known: Identities, now: datetime.datetime, lifetimes: Lifetimes) -> datetime.datetime:
    """When `renewed` has something to do again."""
    moments = [known.agent.renew_at(), known.controller.renew_at(), known.authorities[-1].renew_at()]
    moments += [_signs_at(older, newer, lifetimes) for older, newer in pairwise(known.authorities)]
    moments += [one.ends_at for one in known.authorities]
    return min((moment for moment in moments if moment > now), default=now)


def _signing(authorities: Sequence[Pair], now: datetime.datetime, lifetimes: Lifetimes) -> Pair:
    """The newest authority that every end had time to hear of; the oldest where there is none."""
    heard = [newer for older, newer in pairwise(authorities) if _signs_at(older, newer, lifetimes) <= now]
    return heard[-1] if heard else authorities[0]


def _signs_at(older: Pair, newer: Pair, lifetimes: Lifetimes) -> datetime.datetime:
    # Where the older one ends sooner than that, as when no controller ran for long, half of its time is left to hear of
    # the newer one, and half to hear of what it signs.
    return newer.made_at + min(lifetimes.settle, (older.ends_at - newer.made_at) / 2)
