"""What a person allows bandwidth tests in the background. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from netmesh_common.errors import BadUsageError
from netmesh_common.units import format_bytes, parse_duration, parse_rate, parse_size
from netmesh_controller.mesh.background.turns import LEAST_BITS_PER_SECOND, Allowance, cost_of
from netmesh_controller.mesh.fields import parse_pause

_Value = TypeVar("_Value")
_REST_SECONDS = (1.0, 86400.0)


def parse_allowance(
    bandwidth: str | None,
    *,
    share: str | None = None,
    rate: str | None = None,
    rest: str | None = None,
    pause_if: str | None = None,
) -> Allowance | None:
    """The options `--background-*` as they are written; None where there is to be no test.

    BadUsageError names the option that is wrong and says what would be right.
    """
    if bandwidth is None:
        for name, given in (("share", share), ("rate", rate), ("rest", rest), ("pause-if", pause_if)):
            if given is not None:
                raise BadUsageError(
                    f"--background-{name}: it is of tests that --background-bandwidth SIZE switches on, "
                    "which is not given"
                )
        return None
    default = Allowance(0)
    allowance = Allowance(
        day_bytes=_told("bandwidth", parse_size, bandwidth),
        share=default.share if share is None else _told("share", _share, share),
        rate=None if rate is None else _told("rate", _rate, rate),
        rest_seconds=default.rest_seconds if rest is None else _told("rest", _rest, rest),
        busy_cpu=default.busy_cpu if pause_if is None else _told("pause-if", _busy, pause_if),
    )
    least = cost_of(LEAST_BITS_PER_SECOND if allowance.rate is None else allowance.rate)
    if allowance.day_bytes < least + 2:
        of = "the least that there is" if allowance.rate is None else rate
        raise BadUsageError(
            f"--background-bandwidth: {bandwidth} a day is less than one test takes ({format_bytes(least)} at {of})"
        )
    return allowance


def _told(name: str, parse: Callable[[str], _Value], text: str) -> _Value:
    try:
        return parse(text)
    except ValueError as error:
        raise BadUsageError(f"--background-{name}: {error}") from error


def _share(text: str) -> float:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text)
    if found is None or not 0 < float(found[1]) <= 100:
        raise ValueError(f"'{text}' is not a part such as 10%, above 0% and up to 100%")
    return float(found[1]) / 100


def _rate(text: str) -> int:
    found = parse_rate(text)
    if found < LEAST_BITS_PER_SECOND:
        raise ValueError(f"{text} is too slow to say anything of a path; the least is 1M")
    return found


def _rest(text: str) -> float:
    found = parse_duration(text)
    least, most = _REST_SECONDS
    if not least <= found <= most:
        raise ValueError(f"{text} is not from 1s to 24h")
    return found


def _busy(text: str) -> float:
    found = parse_pause(text)
    if found.quantity != "cpu":
        raise ValueError(f"'{text}' is not of the cpu, such as 'cpu > 50 %'")
    return found.ratio
