"""What the user asks of a sweep, from the command line and from a plan file alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from netmesh_common.units import parse_duration, parse_rate
from netmesh_controller.mesh.catalogue import PATHS, TESTS
from netmesh_controller.mesh.pairs import parse_pairs

INSTRUMENTS: tuple[str, ...] = tuple(dict.fromkeys(name for test in TESTS.values() for name in test.instruments))


class AskError(Exception):
    """What was asked for cannot be had; `str()` is one sentence that begins with the field's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def _unknown(what: str, name: object, known: Sequence[str]) -> str:
    close = get_close_matches(str(name), known, n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else ";"
    verb = "The" if close else "the"
    return f"there is no {what} '{name}'{hint} {verb} {what}s are {', '.join(known)}"


def _names(value: object, what: str, known: Sequence[str]) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not entries:
        raise ValueError(f"{value!r} is not a list of {what}s such as {known[0]}")
    names = [entry.strip() if isinstance(entry, str) else entry for entry in entries]
    for name in names:
        if name not in known:
            raise ValueError(_unknown(what, name, known))
    return tuple(dict.fromkeys(names))


def _paths(value: object) -> tuple[str, ...]:
    return PATHS if value == "all" else _names(value, "path", PATHS)


def _tests(value: object) -> tuple[str, ...]:
    return _names(value, "test", tuple(TESTS))


def _seconds(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a duration such as 5s or 2m")
    return value


def _whole_seconds(value: object, least: int) -> int:
    seconds = _seconds(value)
    if seconds < least or seconds != int(seconds):
        raise ValueError(f"{value} is not a whole number of seconds ≥ {least}; the tools truncate it")
    return int(seconds)


def _duration(value: object) -> int:
    return _whole_seconds(value, 1)


def _omit(value: object) -> int:
    return _whole_seconds(value, 0)


def _interval(value: object) -> float:
    seconds = _seconds(value)
    # iperf3 takes 0.1 to 60 s.
    if not 0.1 <= seconds <= 60:
        raise ValueError(f"{value} is not an interval from 0.1s to 60s")
    return seconds


def _count(value: object, least: int, most: int | None, what: str) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least or (most and number > most):
        bounds = f"from {least} to {most}" if most else f"≥ {least}"
        raise ValueError(f"{value} is not a whole number of {what} {bounds}")
    return number


def _streams(value: object) -> int:
    # iperf3 refuses more than 128.
    return _count(value, 1, 128, "streams")


def _repeat(value: object) -> int:
    return _count(value, 1, None, "repeats")


def _max_concurrent(value: object) -> int | None:
    return None if value is None else _count(value, 1, None, "tests at once")


def _family(value: object) -> object:
    if isinstance(value, bool) or str(value) not in ("4", "6"):
        raise ValueError(f"{value} is not 4 or 6")
    return int(str(value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")  # noqa: TRY004  # pydantic turns ValueError only
    return value


def _congestion(value: object) -> str | None:
    # TCP_CA_NAME_MAX in linux/tcp.h is 16, its closing zero included.
    if value is None or (isinstance(value, str) and re.fullmatch(r"[a-z0-9_-]{1,15}", value)):
        return value
    raise ValueError(f"{value!r} is not the name of a congestion control such as cubic or bbr")


def _rate(value: object) -> int | Literal["unlimited"] | None:
    if value is None or value == "unlimited":
        return None if value is None else "unlimited"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a rate such as 100M, nor unlimited")  # noqa: TRY004  # pydantic turns ValueError only
    try:
        rate = parse_rate(str(value))
    except ValueError as error:
        raise ValueError(f"{error}, nor unlimited") from None
    if rate < 1:
        raise ValueError(f"{value} sends nothing; say unlimited for as much as goes through")
    return rate


def _pairs(value: object) -> str:
    text = ",".join(str(entry) for entry in value) if isinstance(value, list | tuple) else value
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is not all, sample:K, zones, or a list such as node-1:node-2")  # noqa: TRY004  # pydantic turns ValueError only
    parse_pairs(text)
    return text


class Ask(BaseModel):
    """What a sweep is asked for; fields are the long options' names. Rates are bits a second, times seconds.

    `duration` counts from the end of `omit`. `tool` is used for the tests that it can run, the others take their
    default. `rate` is the rate of a whole bandwidth test, all its streams together; None is the default: 100M for
    UDP by iperf3, as much as goes through for TCP. `max_concurrent` None means as many tests as there are free nodes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: Annotated[tuple[str, ...], BeforeValidator(_paths)] = ("pod-to-pod",)
    tests: Annotated[tuple[str, ...], BeforeValidator(_tests)] = ("tcp-bandwidth", "tcp-latency")
    tool: str | None = None
    duration: Annotated[int, BeforeValidator(_duration)] = 5
    omit: Annotated[int, BeforeValidator(_omit)] = 1
    interval: Annotated[float, BeforeValidator(_interval)] = 0.1
    congestion: Annotated[str | None, BeforeValidator(_congestion)] = None
    streams: Annotated[int, BeforeValidator(_streams)] = 1
    bidirectional: Annotated[bool, BeforeValidator(_flag)] = False
    rate: Annotated[int | Literal["unlimited"] | None, BeforeValidator(_rate)] = None
    repeat: Annotated[int, BeforeValidator(_repeat)] = 1
    pairs: Annotated[str, BeforeValidator(_pairs)] = "all"
    max_concurrent: Annotated[int | None, BeforeValidator(_max_concurrent)] = None
    family: Annotated[Literal[4, 6], BeforeValidator(_family)] = 4

    @field_validator("tool", mode="before")
    @classmethod
    def _tool_can_run_something(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        if value not in INSTRUMENTS:
            raise ValueError(_unknown("tool", value, INSTRUMENTS))
        tests = info.data.get("tests", ())
        if tests and not any(value in TESTS[test].instruments for test in tests):
            raise ValueError(f"{value} runs none of the tests {', '.join(tests)}")
        return value

    def instrument(self, test: str) -> str:
        """The instrument that runs the test."""
        kind = TESTS[test]
        return self.tool if self.tool is not None and self.tool in kind.instruments else kind.default_instrument


def ask_from(mapping: Mapping[str, Any]) -> Ask:
    """What a command line or a plan file asks for; options may be written with dashes, null means not given.

    Raises AskError, which names the field and says what would be right.
    """
    given: dict[str, Any] = {}
    for key, value in mapping.items():
        name = str(key).replace("-", "_")
        if name not in Ask.model_fields:
            raise AskError(str(key), _unknown("option", key, [_option(field) for field in Ask.model_fields]))
        if name in given:
            raise AskError(_option(name), "it is given twice")
        given[name] = value
    try:
        return Ask(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        # Every field's own validator comes first and raises ValueError with a sentence.
        raise AskError(_option(str(first["loc"][0])), str(first["ctx"]["error"])) from None


def _option(field: str) -> str:
    return field.replace("_", "-")
