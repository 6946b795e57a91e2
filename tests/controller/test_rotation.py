"""Rotation of authorities and certificates: at every moment, each end trusts what the other shows."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.identity.certificates import AGENT_NAME, Pair, issue, new_authority
from netmesh_controller.identity.rotation import Identities, Lifetimes, authorities_from, next_due, renewed

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
LIFETIMES = Lifetimes(authority=240 * HOUR, leaf=48 * HOUR, settle=6 * HOUR)


def step(known: Identities | None, now: datetime.datetime) -> Identities:
    if known is None:
        return renewed((), None, None, now, LIFETIMES)
    return renewed(known.authorities, known.agent, known.controller, now, LIFETIMES)


def trusted(leaf: Pair, known: Identities, now: datetime.datetime) -> bool:
    """Whether an end that holds these authorities takes the certificate now."""
    return any(
        leaf.is_signed_by(authority) and authority.ends_at > now and leaf.certificate.not_valid_before_utc <= now
        for authority in known.authorities
        if leaf.ends_at > now
    )


@settings(max_examples=6, deadline=None)
@given(st.lists(st.floats(0.1, 3.0), min_size=250, max_size=250), st.integers(0, 6))
def test_ends_that_read_late_trust_each_other_always(steps: list[float], late_hours: int) -> None:
    now, known = START, step(None, START)
    history = [(now, known)]
    for hours in steps:
        now += hours * HOUR
        known = step(known, now)
        history = [(at, seen) for at, seen in history if now - at <= 12 * HOUR] + [(now, known)]
        # An end that has not read for a while, at most as long as an authority is known before it signs.
        read = [seen for at, seen in history if now - at >= late_hours * HOUR]
        stale = read[-1] if read and late_hours else known
        for here, there in ((known, stale), (stale, known)):
            assert trusted(here.agent, there, now)
            assert trusted(here.controller, there, now)


def test_nothing_changes_before_it_is_due_and_something_does_then() -> None:
    now = START
    known = step(None, now)
    kinds = set()
    for _ in range(30):
        due = next_due(known, now, LIFETIMES)
        assert due > now
        before = due - datetime.timedelta(seconds=1)
        if before > now:
            assert step(known, before) == known
        now = due
        fresh = step(known, now)
        kinds |= {len(fresh.authorities)}
        known = fresh
    assert kinds == {1, 2}  # one that overlaps the other, and is alone again


def test_a_new_authority_signs_only_when_every_end_has_heard_of_it() -> None:
    known = step(None, START)
    old = known.authorities[0]
    now = old.renew_at()
    announced = step(known, now)
    assert len(announced.authorities) == 2
    assert announced.agent.is_signed_by(old)
    settled = step(announced, now + LIFETIMES.settle)
    assert settled.agent.is_signed_by(announced.authorities[1])
    assert settled.controller.is_signed_by(announced.authorities[1])
    assert settled.authorities == announced.authorities
    gone = step(settled, old.ends_at + HOUR)
    assert gone.authorities == announced.authorities[1:]


@pytest.mark.parametrize("left", [4 * HOUR, 0.1 * HOUR])
def test_an_authority_that_ends_soon_hands_over_before_it_does(left: datetime.timedelta) -> None:
    known = step(None, START)
    old = known.authorities[0]
    now = old.ends_at - left  # no controller ran when it was due
    announced = step(known, now)
    assert announced.agent.is_signed_by(old)
    assert next_due(announced, now, LIFETIMES) <= now + left / 2
    signs = step(announced, now + left / 2)
    for here, there in ((announced, signs), (signs, announced)):
        assert trusted(here.agent, there, now + left / 2)
        assert trusted(here.controller, there, now + left / 2)
    assert signs.agent.is_signed_by(announced.authorities[1])
    assert step(signs, old.ends_at).agent == signs.agent


def test_a_certificate_never_outlives_its_authority() -> None:
    authority = new_authority(START, 2 * HOUR)
    leaf = issue(AGENT_NAME, authority, START + HOUR, 10 * HOUR)
    assert leaf.ends_at == authority.ends_at


def test_what_was_written_is_read_again() -> None:
    known = step(step(None, START), START + 200 * HOUR)
    assert len(known.authorities) == 2
    read = authorities_from(known.bundle, known.keys)
    assert [one.certificate for one in read] == [one.certificate for one in known.authorities]
    assert [one.key_pem for one in read] == [one.key_pem for one in known.authorities]
    assert len(x509.load_pem_x509_certificates(known.bundle)) == 2


@pytest.mark.parametrize("keys", [b"", b"nonsense"])
def test_authorities_without_their_keys_are_refused(keys: bytes) -> None:
    with pytest.raises(ValueError, match="1 authorities and 0 keys"):
        authorities_from(step(None, START).bundle, keys)


def test_a_key_of_another_certificate_is_refused() -> None:
    one, other = step(None, START), step(None, START)
    with pytest.raises(ValueError, match="not that of the certificate"):
        authorities_from(one.bundle, other.keys)
