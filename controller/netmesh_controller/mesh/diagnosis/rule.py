"""A rule: one verdict, what it needs, how it is told, what to do. One file a rule, in `rules/`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from netmesh_controller.mesh.diagnosis import rules
from netmesh_controller.mesh.diagnosis.document import Code, Fact, Verdict
from netmesh_controller.mesh.diagnosis.seen import Seen


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rule says: where it holds, how surely (0 to 1), the sentence, and the figures it was read from."""

    where: dict[str, str]
    confidence: float
    sentence: str
    evidence: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`judge` says where the verdict holds. Of two that hold, one that `explains` the other stands before it.

    `needs` are the steps without which nothing can be said; `advice` what to do, and `look` commands that show more on
    the node or in its pod, with DEVICE, ADDRESS and POD to be filled in. What the verdict means and how it is seen
    stand in the docstrings of the file and of `judge`: the documentation's page of it is made of all of these.
    """

    code: Code
    needs: tuple[str, ...]
    judge: Callable[[Seen], Iterable[Claim]]
    advice: str
    look: tuple[str, ...] = ()
    explains: tuple[Code, ...] = ()


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule there is, by the name of its file."""
    names = sorted(info.name for info in pkgutil.iter_modules(rules.__path__))
    return tuple(importlib.import_module(f"{rules.__name__}.{name}").RULE for name in names)


# Below this a claim is a guess, and is not stated.
LEAST_CONFIDENCE = 0.5


def verdicts(seen: Seen) -> list[Verdict]:
    """What holds, the best explanation first; `healthy` or `insufficient_evidence` where nothing does."""
    claims = [
        (rule, claim)
        for rule in all_rules()
        if set(rule.needs) <= set(seen.done)
        for claim in rule.judge(seen)
        if claim.confidence >= LEAST_CONFIDENCE
    ]
    ranked = sorted(claims, key=lambda one: (-_weight(one[0], claims), -one[1].confidence, one[0].code))
    found = [
        Verdict(
            code=rule.code,
            where=claim.where,
            confidence=round(claim.confidence, 2),
            sentence=claim.sentence,
            evidence=list(claim.evidence),
            advice=rule.advice,
        )
        for rule, claim in ranked
    ]
    return found or [_nothing(seen)]


def _weight(rule: Rule, claims: Sequence[tuple[Rule, Claim]]) -> int:
    """How many steps of explaining stand below a rule, among those that hold."""
    there = {other.code for other, _ in claims}
    by_code = {one.code: one for one in all_rules()}

    def below(code: Code, seen: frozenset[Code]) -> int:
        return max(
            (
                1 + below(other, seen | {other})
                for other in by_code[code].explains
                if other in there and other not in seen
            ),
            default=0,
        )

    return below(rule.code, frozenset({rule.code}))


HEALTHY_ADVICE = "If it comes and goes, let monitoring watch the pair, and ask again while it is slow."
INSUFFICIENT_ADVICE = "See why in the protocol of the steps, and ask again."
# Without these nobody can say that a pair is well.
_CHECKED = ("probe", "connect", "mtu", "bandwidth")


def _nothing(seen: Seen) -> Verdict:
    missing = [name for name in _CHECKED if name not in seen.done]
    gaps = sorted({cell.test for cell in seen.cells if cell.outcome != "measured" and _of_pair(seen, cell.source)})
    if missing or gaps:
        what = ", ".join([*missing, *gaps])
        return Verdict(
            code="insufficient_evidence",
            confidence=1.0,
            sentence=f"Not enough is known of {seen.source} and {seen.target}: {what} gave nothing.",
            advice=INSUFFICIENT_ADVICE,
        )
    checked = ", ".join(dict.fromkeys(cell.test for cell in seen.measured()))
    return Verdict(
        code="healthy",
        confidence=0.9 if seen.others("tcp-bandwidth", "bits_per_second") else 0.7,
        sentence=f"Nothing is wrong between {seen.source} and {seen.target} now; checked: {checked}.",
        evidence=_healthy_facts(seen),
        advice=HEALTHY_ADVICE,
    )


def _of_pair(seen: Seen, node: str) -> bool:
    return node in (seen.source, seen.target)


def _healthy_facts(seen: Seen) -> list[Fact]:
    facts = []
    for direction in ("forward", "back"):
        value = seen.value("tcp-bandwidth", "bits_per_second", direction)
        expected = seen.expected("tcp-bandwidth", "bits_per_second")
        facts.append(
            Fact(
                what=f"received, {seen.arrow(direction)}",
                measured=value,
                expected=expected[0] if expected else None,
                unit="bit/s",
                source=expected[1] if expected else "",
            )
        )
    return facts
