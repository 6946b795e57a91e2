"""Node names, shortened by what all of them share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class Shortened:
    """Names without their common beginning and end; both are empty where nothing is shared."""

    names: tuple[str, ...]
    prefix: str
    suffix: str

    def note(self) -> str | None:
        """What was left out, for the reader."""
        shared = [f"'{prefix}' in front" for prefix in (self.prefix,) if prefix]
        shared += [f"'{suffix}' at the end" for suffix in (self.suffix,) if suffix]
        return f"names without {' and '.join(shared)}" if shared else None


def shorten(names: Sequence[str]) -> Shortened:
    """The names without the beginning and end that all share, cut at `-`, `.` or `_`: node-10, node-11 give 10, 11."""
    if len(names) < 2:
        return Shortened(tuple(names), "", "")
    prefix = re.sub(r"[^-._]+$", "", _beginning(names))
    rests = [name[len(prefix) :] for name in names]
    suffix = re.sub(r"^[^-._]+", "", _beginning([rest[::-1] for rest in rests])[::-1])
    cut = tuple(rest[: len(rest) - len(suffix)] for rest in rests)
    if not all(cut):
        return Shortened(tuple(names), "", "")
    return Shortened(cut, prefix, suffix)


def without_domain(names: Sequence[str]) -> Shortened:
    """The names without the domain that all share, such as `.eu-central-1.compute.internal`."""
    cut = shorten(names)
    dot = cut.suffix.find(".")
    if dot < 0:
        return Shortened(tuple(names), "", "")
    domain = cut.suffix[dot:]
    return Shortened(tuple(name.removesuffix(domain) for name in names), "", domain)


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    columns = zip(*names, strict=False)
    return "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, columns))
