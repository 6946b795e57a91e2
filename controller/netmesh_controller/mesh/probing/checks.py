"""Checks beside the continuous probe: how people write them, and what became of them over rolling windows. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

from netmesh_controller.mesh.probing.windows import BASE_SECONDS

API_SERVER = "api-server"
# An agent refuses more.
MOST_CHECKS = 32
_KEPT = 3600 // BASE_SECONDS
_HOW = "NAME=tcp://HOST:PORT, NAME=dns://[SERVER/]QUESTION or NAME=api-server"


@dataclass(frozen=True, slots=True)
class Check:
    """What every agent asks; see `netmesh.v1.Check`."""

    name: str
    kind: str
    address: str = ""
    port: int = 0
    question: str = ""


def parse_check(text: str) -> Check:
    """A check as people write it; ValueError with what would be right."""
    name, mark, what = text.partition("=")
    if not (mark and name and name.replace("-", "").replace("_", "").replace(".", "").isalnum()):
        raise ValueError(f"'{text}' is not {_HOW}")
    if what == API_SERVER:
        return Check(name, API_SERVER)
    try:
        url = urlsplit(what)
        host, port = url.hostname or "", url.port or 0
    except ValueError:
        raise ValueError(f"'{what}' of check '{name}' has no port from 1 to 65535") from None
    if url.scheme == "tcp" and host and port and url.path in ("", "/"):
        return Check(name, "tcp-connect", host, port)
    if url.scheme == "dns" and host:
        question = url.path.strip("/")
        # Without a server it is the name itself that stands there.
        return Check(name, "dns", host, port, question) if question else Check(name, "dns", question=host)
    raise ValueError(f"'{text}' is not {_HOW}")


def parse_checks(texts: Sequence[str]) -> tuple[Check, ...]:
    """Several; ValueError where one is wrong, there twice, or there are too many."""
    checks = tuple(map(parse_check, texts))
    for name, count in Counter(check.name for check in checks).items():
        if count > 1:
            raise ValueError(f"there are {count} checks with the name '{name}'; give each its own")
    if len(checks) > MOST_CHECKS:
        raise ValueError(f"{len(checks)} checks are too many; give {MOST_CHECKS} at most")
    return checks


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a check at a node in the base window that began at `started`; times are of answered questions."""

    started: int
    count: int
    failed: int
    p50_seconds: float | None = None
    max_seconds: float | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The same over a longer window; `code` is of the last failure.

    Of its parts the medians are known and not the times: theirs is no median of the times, and is not called so.
    """

    node: str
    name: str
    count: int
    failed: int
    median_of_medians_seconds: float | None
    max_seconds: float | None
    code: str | None
    message: str | None


@dataclass(slots=True)
class CheckBook:
    """The results of the last hour, by node and check."""

    _kept: dict[tuple[str, str], deque[Result]] = field(default_factory=dict)

    def add(self, node: str, name: str, result: Result) -> None:
        """A result that was not added before; a window in which nothing was asked is none."""
        if result.count:
            self._kept.setdefault((node, name), deque(maxlen=_KEPT)).append(result)

    def keep(self, nodes: Sequence[str]) -> None:
        """Forgets nodes that are gone."""
        self._kept = {place: results for place, results in self._kept.items() if place[0] in nodes}

    def over(self, since: int) -> Iterator[Summary]:
        """What became of each in the base windows that began then or later."""
        for (node, name), results in sorted(self._kept.items()):
            some = sorted((one for one in results if one.started >= since), key=lambda one: one.started)
            if not some:
                continue
            middles = [one.p50_seconds for one in some if one.p50_seconds is not None]
            bad = next((one for one in reversed(some) if one.failed), None)
            yield Summary(
                node,
                name,
                sum(one.count for one in some),
                sum(one.failed for one in some),
                median(middles) if middles else None,
                max((one.max_seconds for one in some if one.max_seconds is not None), default=None),
                None if bad is None else bad.code,
                None if bad is None else bad.message,
            )
