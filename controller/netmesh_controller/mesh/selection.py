"""Which nodes a sweep takes: by name, zone and label. Pure.

Label selectors as Kubernetes writes them: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, with commas
between them; all must hold. `!=` and `notin` hold for nodes without the label too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Labels = Mapping[str, str]
_KEY = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")


@dataclass(frozen=True, slots=True)
class Selection:
    """The nodes that are wanted. None: any. What is excluded is not taken whatever else holds."""

    nodes: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None
    selector: str | None = None
    exclude: tuple[str, ...] = ()

    def includes(self, name: str, zone: str | None, labels: Labels) -> bool:
        """Whether the node is wanted."""
        return (
            (self.nodes is None or name in self.nodes)
            and (self.zones is None or zone in self.zones)
            and (self.selector is None or matches(self.selector, labels))
            and name not in self.exclude
        )

    def wrong(self, nodes: Mapping[str, str | None]) -> tuple[str, str] | None:
        """The option that names a node or zone that is not among `nodes` (name to zone), and a sentence; else None."""
        there = sorted({zone for zone in nodes.values() if zone is not None})
        for option, asked, what, known in (
            ("nodes", self.nodes or (), "node", list(nodes)),
            ("exclude", self.exclude, "node", list(nodes)),
            ("zones", self.zones or (), "zone", there),
        ):
            for name in asked:
                if name not in known:
                    return option, _unknown(what, name, known)
        return None


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else ";"
    listed = ", ".join(known[:10]) + (", …" if len(known) > 10 else "") if known else "none"
    return f"there is no {what} '{name}'{hint} {'The' if close else 'the'} {what}s are {listed}"


def matches(selector: str, labels: Labels) -> bool:
    """Whether a node with these labels is selected; ValueError where the selector cannot be read."""
    return all(holds(labels) for holds in parse_selector(selector))


def parse_selector(text: str) -> list[Callable[[Labels], bool]]:
    """The conditions of a selector; ValueError says in a sentence which part cannot be read."""
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text)]
    if not all(parts):
        raise ValueError(f"'{text}' is not a label selector such as 'disk=ssd,gpu notin (a,b)'")
    return [_condition(part) for part in parts]


def _condition(text: str) -> Callable[[Labels], bool]:
    if found := _SET.fullmatch(text):
        key, negated = found[1], found[2] == "notin"
        values = {value.strip() for value in found[3].split(",")}
        if not all(re.fullmatch(_VALUE, value) for value in values):
            raise ValueError(f"'{found[3]}' is not a list of label values")
        return lambda labels: (key in labels and labels[key] in values) != negated
    if found := _EQUAL.fullmatch(text):
        key, negated, value = found[1], found[2] == "!=", found[3]
        return lambda labels: (labels.get(key) == value) != negated
    if found := _EXISTS.fullmatch(text):
        negated, key = bool(found[1]), found[2]
        return lambda labels: (key in labels) != negated
    raise ValueError(f"'{text}' is not a label condition such as disk=ssd, gpu, !gpu or 'zone in (a,b)'")
