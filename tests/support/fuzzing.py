"""How many cases a fuzz test tries, and texts that were changed by chance."""

from __future__ import annotations

import os
import re

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

_NUMBER = re.compile(r"(?<![\w.])-?[0-9][0-9.]*")
ODD = st.sampled_from(
    [
        *("-1", "0", "0.5", "1e308", "1e400", "-1e400", "9" * 5000, "0x" + "f" * 400, "NaN", ".inf", "null", "true"),
        *('"5"', "[]", "{}", "", "2026-13-45", "1:2:3", "!!binary x", "!!python/object:os.system x", "&a [*a]", "~"),
        *("[" * 400, "{a: " * 300, "? x", "- ", "\x00", "\ufeff", "\u2028", "$(id)", "../../etc/passwd"),
    ]
)


def cases(small: int) -> int:
    """NETMESH_FUZZ_CASES, which `make fuzz` sets, else the small number of a test of every change."""
    return int(os.environ.get("NETMESH_FUZZ_CASES", small))


def fuzzed(small: int) -> settings:
    """Settings of a fuzz test. What fails is printed as it came: making it smaller takes longer than finding it."""
    return settings(
        max_examples=cases(small),
        deadline=None,
        database=None,
        print_blob=True,
        # Tests of every change try the same cases each time; `make fuzz` looks for new ones.
        derandomize="NETMESH_FUZZ_CASES" not in os.environ,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def changed(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    """One of the texts with up to four changes: another number, a part cut, dropped, doubled or put in."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        numbers = list(_NUMBER.finditer(text))
        how = draw(st.sampled_from(["number", "number", "cut", "drop", "double", "insert", "odd"]))
        if how == "number" and numbers:
            found = numbers[draw(st.integers(0, len(numbers) - 1))]
            text = text[: found.start()] + draw(ODD) + text[found.end() :]
            continue
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        text = {
            "cut": text[:start],
            "drop": text[:start] + text[end:],
            "double": text[:end] + text[start:],
            "insert": text[:start] + draw(st.text(max_size=20)) + text[start:],
            "odd": text[:start] + draw(ODD) + text[end:],
            "number": text,
        }[how]
    return text
