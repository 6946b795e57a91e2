"""Which steps a diagnosis takes, by what it saw."""

from __future__ import annotations

import pytest
from tests.controller.mesh.diagnosis.cases import Case, slow

from netmesh_controller.mesh.diagnosis.rule import verdicts
from netmesh_controller.mesh.diagnosis.steps import next_steps


def test_what_is_light_is_done_at_once() -> None:
    whole, quick = (next_steps(Case().seen_before(), quick=short) for short in (False, True))
    assert [step.name for step, _ in whole] == ["probe", "connect", "service", "hosts_probe"]
    assert [step.name for step, _ in quick] == ["probe", "connect", "service"]
    # They are one measurement, of one length.
    for together in (whole, quick):
        assert len({(options["duration"], options["omit"]) for _, options in together}) == 1


@pytest.mark.parametrize(
    ("passes", "tried"), [(40e6, ["rate_50"]), (80e6, ["rate_50", "rate_75", "rate_100"]), (110e6, 4), (1e9, 4)]
)
def test_udp_is_sent_faster_and_faster_until_it_is_lost(passes: float, tried: list[str] | int) -> None:
    found = slow(udp_passes=passes).seen()
    done = [name for name in found.done if name.startswith("rate_")]
    assert done == tried or len(done) == tried
    facts = {fact.what: fact.measured or 0.0 for fact in verdicts(found)[0].evidence}
    assert ("UDP loses over 1% at" in facts) == (passes < 125e6)
    assert facts.get("UDP passes at", 0.0) <= passes
    assert facts.get("UDP loses over 1% at", 1e9) > passes or passes == 1e9
    # Where as much goes through as between others, nobody is flooded.
    assert not [name for name in Case().seen().done if name.startswith("rate_")]
