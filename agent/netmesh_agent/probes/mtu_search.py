"""The search for the largest packet that passes: pure, over a function that tries one size."""

from __future__ import annotations

from collections.abc import Callable

PASSED = "passed"
REFUSED = "refused"
LOST = "lost"


class Outcome:
    """What became of the packets of one size: `state` PASSED, LOST without a word, or REFUSED.

    `hint` is the largest size that the refusal names, None where it names none. `local` is true where the sending
    node itself refused.
    """

    __slots__ = ("hint", "local", "state")

    def __init__(self, state: str, hint: int | None = None, *, local: bool = False) -> None:
        self.state, self.hint, self.local = state, hint, local


class Found:
    """The largest size that passed, and whether larger ones vanish without a word."""

    __slots__ = ("black_hole", "mtu")

    def __init__(self, mtu: int, *, black_hole: bool) -> None:
        self.mtu, self.black_hole = mtu, black_hole


def search(passes: int, largest: int, attempt: Callable[[int], Outcome]) -> Found:
    """Finds the largest size from `passes`, which is known to pass, to `largest`.

    Each step narrows what lies between the largest size that passed and the smallest that did not. A refusal's hint is
    tried next, and then the size above it, since a router's word is a guess until packets confirm it (RFC 8899, 4.6).

    Larger packets vanish where the next size up was lost and nobody on the way ever refused one. That this node's own
    device refuses what is still larger does not excuse the path.
    """
    fails, hint = largest + 1, None
    told = False
    above = REFUSED  # what became of `fails`; at first it is beyond what an IP packet can be
    candidate: int = largest
    while fails - passes > 1:
        outcome = attempt(candidate)
        told |= outcome.state == REFUSED and not outcome.local
        if outcome.state == PASSED:
            passes = candidate
        else:
            fails, above = candidate, outcome.state
            hint = outcome.hint if outcome.hint is not None else hint
        if hint is not None and passes < hint < fails:
            candidate = hint
        elif hint is not None and hint == passes:
            candidate = passes + 1
        else:
            candidate = (passes + fails) // 2
    return Found(passes, black_hole=above == LOST and not told)
