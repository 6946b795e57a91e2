"""An expectation out of its text; what is wrong is named, with what would be right."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from netmesh_common.errors import BadUsageError
from netmesh_controller.mesh.catalogue import TESTS, UNITS
from netmesh_controller.mesh.fields import unknown
from netmesh_controller.mesh.paths import PATHS

STATISTICS: tuple[str, ...] = ("mean", "stdev", "min", "p10", "p50", "p90", "p99", "p999", "max")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
EXAMPLE = "tcp-bandwidth.mean@pod-to-pod/remote >= 9 Gbit/s"
# How many of the SI unit make one of each; the first is the one that is advised.
_DECIMAL = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
_SMALL = (("", 1.0), ("m", 1e-3), ("u", 1e-6), ("µ", 1e-6), ("\N{GREEK SMALL LETTER MU}", 1e-6), ("n", 1e-9))
_BINARY = (("Ki", 2.0**10), ("Mi", 2.0**20), ("Gi", 2.0**30))
_SCALES: Mapping[str, Mapping[str, float]] = {
    "bit/s": {f"{prefix}bit/s": factor for prefix, factor in _DECIMAL},
    "s": {f"{prefix}s": factor for prefix, factor in _SMALL},
    "s/GB": {f"{prefix}s/GB": factor for prefix, factor in _SMALL},
    "B": {f"{prefix}B": factor for prefix, factor in (*_DECIMAL, *_BINARY)},
    "1/s": {f"{prefix}/s": factor for prefix, factor in _DECIMAL},
    "cores": {"cores": 1.0},
    "1": {"": 1.0},
}
_RATIO: Mapping[str, float] = {"%": 0.01, "": 1.0}
_TEXT = re.compile(
    r"\s*(?P<what>[^\s@<>=!]+)\s*(?:@\s*(?P<where>[^\s<>=!]+))?\s*(?P<op>[<>=!]+)\s*"
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>.*?)\s*"
)


class ExpectationError(BadUsageError):
    """The text is no expectation; the message says which part of it is wrong and what would be right."""

    def __init__(self, text: str, part: str, message: str) -> None:
        super().__init__(
            " ".join(f"--expect '{text}': {part}: {message}".splitlines())
        )  # the text may have line breaks


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold in every planned cell of a test, of one path or of all, of its local or remote cells or of both.

    `bound` is in the value's SI unit.
    """

    text: str
    test: str
    value: str
    statistic: str
    path: str | None
    where: Literal["local", "remote"] | None
    op: str
    bound: float

    def holds(self, number: float) -> bool:
        """Whether a number, in the SI unit, is as expected."""
        return OPERATORS[self.op](number, self.bound)

    @property
    def unit(self) -> str:
        """The SI unit of its value."""
        return UNITS[self.value]


def parse(text: str) -> Expectation:
    """The expectation of a text; ExpectationError where it is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        form = "TEST[.VALUE].STATISTIC[@PATH] OP NUMBER UNIT"
        raise ExpectationError(text, "text", f"it should read {form}, as '{EXAMPLE}'")
    test, value, statistic = _what(text, match["what"])
    path, where = _where(text, test, match["where"])
    if match["op"] not in OPERATORS:
        raise ExpectationError(text, "OP", f"'{match['op']}' is not one of {', '.join(OPERATORS)}")
    bound = float(match["number"]) * _factor(text, value, match["unit"])
    if not math.isfinite(bound):
        raise ExpectationError(text, "NUMBER", f"{match['number']} is too large")
    return Expectation(text.strip(), test, value, statistic, path, where, match["op"], bound)


def _what(text: str, what: str) -> tuple[str, str, str]:
    test, *rest = what.split(".")
    if test not in TESTS:
        raise ExpectationError(text, "TEST", unknown("test", test, tuple(TESTS)))
    kind = TESTS[test]
    values = (*kind.values, *kind.host_values)
    if not rest or len(rest) > 2:
        raise ExpectationError(text, "STATISTIC", f"{what} should end in one of {', '.join(STATISTICS)}")
    value, statistic = (kind.headline, rest[0]) if len(rest) == 1 else rest
    if len(rest) == 1 and statistic in values:
        raise ExpectationError(text, "STATISTIC", f"add one: {what}.mean, or another of {', '.join(STATISTICS)}")
    if value not in values:
        raise ExpectationError(text, "VALUE", unknown("value", value, values))
    if statistic not in STATISTICS:
        raise ExpectationError(text, "STATISTIC", unknown("statistic", statistic, STATISTICS))
    if value in kind.host_values and statistic != "mean":
        raise ExpectationError(text, "STATISTIC", f"{value} has a mean only")
    return test, value, statistic


def _where(text: str, test: str, where: str | None) -> tuple[str | None, Literal["local", "remote"] | None]:
    if where is None:
        return None, None
    path, slash, part = where.partition("/")
    if path not in PATHS:
        raise ExpectationError(text, "PATH", unknown("path", path, tuple(PATHS)))
    if not slash:
        return path, None
    if part not in ("local", "remote"):
        raise ExpectationError(text, "PATH", f"after the path comes /local or /remote, not '/{part}'")
    roles = {"local": PATHS[path].local, "remote": PATHS[path].remote}
    if roles[part] is None and TESTS[test].kind != "idle":
        raise ExpectationError(text, "PATH", f"{path} has no {part} cells")
    return path, "local" if part == "local" else "remote"


def _factor(text: str, value: str, unit: str) -> float:
    known = _RATIO if value.endswith("_ratio") else _SCALES[UNITS[value]]
    if unit in known:
        return known[unit]
    named = [name for name in known if name.isascii() and name]
    right = f"one of {', '.join(named)}" if named else "nothing, since it is a number of things"
    said = f"'{unit}' is no unit of {value}" if unit else f"{value} has a unit"
    raise ExpectationError(text, "UNIT", f"{said}: give {right}")
