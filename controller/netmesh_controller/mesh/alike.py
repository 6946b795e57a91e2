"""Lines of a run file that are alike but for pair, repeat and numbers, read thousands at once by one expression.

An expression is learnt from a line that was read and checked. It takes nothing that is not JSON, or that the document's
model would not take: names without escapes, and numbers short enough to be finite, and exact where they are whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netmesh_controller.mesh.table import Series

_TEXT = r'"([^"\\\x00-\x1f]*)"'
_NUMBER = r"(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?)"
_COUNT = r"([1-9][0-9]{0,14})"
_REPEAT = r"(0|[1-9][0-9]{0,8})"
# What of a cell is stored beside its key, and in which order.
REST_FIELDS = ("attempt", "outcome", "reason", "started_at", "duration_seconds", "values")
# As programs write JSON: without spaces, and as Python does by itself.
_SEPARATORS = ((",", ":"), (", ", ": "))


@dataclass(frozen=True, slots=True)
class Alike:
    """Measured cells of one series, in columns: cell i is `sources[i]` to `targets[i]`, repeat `repeats[i]`.

    `means` has each value's mean of every cell, in SI units.
    """

    series: Series
    sources: Sequence[str]
    targets: Sequence[str]
    repeats: Sequence[int]
    means: Mapping[str, Sequence[float]]
    _columns: Sequence[Sequence[str]]
    _template: Template

    def __len__(self) -> int:
        """How many cells."""
        return len(self.sources)

    def rests(self) -> Iterator[str]:
        """Of each cell what is not part of the key, as JSON without the fields that have their default."""
        text, groups = self._template.rest, self._template.rest_groups
        if not groups:
            return (text % () for _ in self.sources)
        return map(text.__mod__, zip(*(self._columns[group] for group in groups), strict=True))


@dataclass(frozen=True, slots=True)
class Template:
    """What lines of one series look like. The last group of the expression, counted from 0, is any other line."""

    series: Series
    expression: re.Pattern[str]
    source: int
    target: int
    repeat: int
    means: Mapping[str, int]
    rest: str
    rest_groups: tuple[int, ...]

    def split(self, text: str) -> tuple[Alike | None, list[str]]:
        """Of lines, joined by line ends: those that are as this one, and the others."""
        rows = self.expression.findall(text)
        others = [row[-1] for row in rows if not row[self.repeat]]
        if others:
            rows = [row for row in rows if row[self.repeat]]
        if not rows:
            return None, others
        columns = list(zip(*rows, strict=True))
        means = {value: list(map(float, columns[group])) for value, group in self.means.items()}
        repeats = list(map(int, columns[self.repeat]))
        found = Alike(self.series, columns[self.source], columns[self.target], repeats, means, columns, self)
        return found, others


def template_of(series: Series, line: str, fields: Mapping[str, Any]) -> Template | None:
    """What lines like this one look like; None where it is of no such kind.

    `fields` are the line's, which hold nothing but key, values and what is empty.
    """
    if fields.get("outcome") != "measured":
        return None
    for separators in _SEPARATORS:
        made = _Learner(*separators).template(series, fields)
        if made.expression.fullmatch(line) is not None and made.split(line)[0] is not None:
            return made
    return None


class _Learner:
    """Writes an expression for a cell's JSON, field by field, in the order of the line."""

    def __init__(self, comma: str, colon: str) -> None:
        self._comma, self._colon = comma, colon
        self._groups = 0
        self._means: dict[str, int] = {}
        self._rest: dict[str, tuple[str, list[int]]] = {}

    def template(self, series: Series, fields: Mapping[str, Any]) -> Template:
        """The whole."""
        at = {}
        parts = []
        for name, content in fields.items():
            if name in ("source", "target", "repeat"):
                at[name] = self._groups
                part = self._group(_REPEAT if name == "repeat" else _TEXT)
            else:
                part = self._field(name, content)
            parts.append(self._name(name) + part)
        kept = [self._rest[name] for name in REST_FIELDS if name in self._rest]
        return Template(
            series,
            re.compile("^(?:" + self._braced(parts) + "|(.*))$", re.MULTILINE),
            at["source"],
            at["target"],
            at["repeat"],
            self._means,
            "{" + ",".join(text for text, _ in kept) + "}",
            tuple(group for _, groups in kept for group in groups),
        )

    def _field(self, name: str, content: Any) -> str:
        first = self._groups
        if name == "values":
            part, rest = self._values(content)
        elif name == "started_at" and content is not None:
            part, rest = self._group(_TEXT), '"%s"'
        elif name == "duration_seconds" and content is not None:
            part, rest = self._group(_NUMBER), "%s"
        else:
            part, rest = re.escape(self._json(content)), _compact(content)
        if name in REST_FIELDS and content is not None and content != {}:
            self._rest[name] = (f"{_compact(name)}:{rest}", list(range(first, self._groups)))
        return part

    def _values(self, values: Mapping[str, Any]) -> tuple[str, str]:
        parts, rests = [], []
        for value, summary in values.items():
            if summary is None:
                part, rest = "null", "null"
            else:
                statistics = [(name, self._statistic(value, name, number)) for name, number in summary.items()]
                part = self._braced([self._name(name) + one for name, one in statistics])
                rest = ",".join(f"{_compact(name)}:{'null' if one == 'null' else '%s'}" for name, one in statistics)
                rest = "{" + rest + "}"
            parts.append(self._name(value) + part)
            rests.append(f"{_compact(value)}:{rest}")
        return self._braced(parts), "{" + ",".join(rests) + "}"

    def _statistic(self, value: str, name: str, number: float | None) -> str:
        if number is None:
            return "null"
        if name == "mean":
            self._means[value] = self._groups
        return self._group(_COUNT if name == "count" else _NUMBER)

    def _group(self, expression: str) -> str:
        self._groups += 1
        return expression

    def _name(self, name: str) -> str:
        return re.escape(_quoted(name) + self._colon)

    def _braced(self, parts: Sequence[str]) -> str:
        return r"\{" + re.escape(self._comma).join(parts) + r"\}"

    def _json(self, content: Any) -> str:
        return json.dumps(content, separators=(self._comma, self._colon), ensure_ascii=False)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _compact(content: Any) -> str:
    """As a part of a format: without spaces, and with each % twice."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("%", "%%")
