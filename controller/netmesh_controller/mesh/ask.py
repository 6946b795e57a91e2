"""What the user asks of a sweep, from the command line and from a plan file alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from netmesh_common.errors import BadUsageError
from netmesh_common.units import format_rate
from netmesh_controller.mesh import fields
from netmesh_controller.mesh.catalogue import TESTS, TestKind
from netmesh_controller.mesh.fields import Pause, Target
from netmesh_controller.mesh.paths import PATHS
from netmesh_controller.mesh.precision import LEAST_REPEATS, MOST_REPEATS, Until, parse_until
from netmesh_controller.mesh.selection import Selection

# What a target outside of the mesh is measured by; one that has a STAMP reflector also by `udp-latency`, where STAMP is
# named.
TARGET_TESTS: tuple[str, ...] = ("tcp-connect",)


class AskError(BadUsageError):
    """What was asked for cannot be had; `str()` is one sentence that begins with the field's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(" ".join(f"{field}: {message}".splitlines()))  # values may have line breaks
        self.field = field
        self.message = message


class Ask(BaseModel):
    """What a sweep is asked for; fields are the long options' names. Rates are bits a second, times seconds.

    `duration` counts from the end of `omit`. Each of `tool` is used for the tests that it can run, a test that none
    of them can run takes its default. `stamp`: STAMP runs beside the instruments of `udp-latency`, for the
    network's share. `rate` is the rate of a whole bandwidth test, all its streams together; None is
    the default: 100M for UDP by iperf3, as much as goes through for TCP. `max_rate` bounds what any test offers.
    `streams`, `message_sizes`, `mss` and `family` each make an axis of the run: every combination is measured.
    `message_rate` is for instruments that send at a rate; None is their default. `targets` are
    `PATH:NAME=ADDRESS:PORT`. `max_traffic` is bytes. `until` repeats each cell beyond `repeat` until its interval is
    narrow enough, `max_repeat` times at most. `budget` is the seconds that a sweep may take. `max_concurrent`
    None means as many tests as there are free nodes. `per_zone_pair` is the most tests at once between two zones.
    `nodes`, `zones`, `selector` and `exclude` choose nodes; those of a control plane have no bandwidth tests, unless
    `include_control_plane`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: Annotated[tuple[str, ...], BeforeValidator(fields.paths)] = ("pod-to-pod",)
    tests: Annotated[tuple[str, ...], BeforeValidator(fields.tests)] = ("tcp-bandwidth", "tcp-latency")
    tool: Annotated[tuple[str, ...] | None, BeforeValidator(fields.tools)] = None
    stamp: Annotated[bool, BeforeValidator(fields.flag)] = True
    duration: Annotated[int, BeforeValidator(fields.duration)] = 5
    omit: Annotated[int, BeforeValidator(fields.omit)] = 1
    interval: Annotated[float, BeforeValidator(fields.interval)] = 0.1
    congestion: Annotated[str | None, BeforeValidator(fields.congestion)] = None
    streams: Annotated[tuple[int, ...], BeforeValidator(fields.streams)] = (1,)
    message_sizes: Annotated[tuple[int, ...] | None, BeforeValidator(fields.message_sizes)] = None
    mss: Annotated[tuple[int, ...] | None, BeforeValidator(fields.mss)] = None
    bidirectional: Annotated[bool, BeforeValidator(fields.flag)] = False
    under_load: Annotated[bool, BeforeValidator(fields.flag)] = False
    rate: Annotated[int | Literal["unlimited"] | None, BeforeValidator(fields.rate)] = None
    message_rate: Annotated[int | None, BeforeValidator(fields.message_rate)] = None
    max_rate: Annotated[int | None, BeforeValidator(fields.max_rate)] = None
    max_traffic: Annotated[int | None, BeforeValidator(fields.max_traffic)] = None
    pause_if: Annotated[str | None, BeforeValidator(fields.pause_if)] = None
    repeat: Annotated[int, BeforeValidator(fields.repeat)] = 1
    until: Annotated[str | None, BeforeValidator(fields.until)] = None
    max_repeat: Annotated[int | None, BeforeValidator(fields.max_repeat)] = None
    budget: Annotated[float | None, BeforeValidator(fields.budget)] = None
    pairs: Annotated[str, BeforeValidator(fields.pairs)] = "all"
    max_concurrent: Annotated[int | None, BeforeValidator(fields.max_concurrent)] = None
    per_zone_pair: Annotated[int | None, BeforeValidator(fields.max_concurrent)] = None
    family: Annotated[Literal[4, 6, "both"], BeforeValidator(fields.family)] = 4
    targets: Annotated[tuple[str, ...], BeforeValidator(fields.targets)] = ()
    nodes: Annotated[tuple[str, ...] | None, BeforeValidator(fields.names)] = None
    zones: Annotated[tuple[str, ...] | None, BeforeValidator(fields.names)] = None
    selector: Annotated[str | None, BeforeValidator(fields.selector)] = None
    exclude: Annotated[tuple[str, ...] | None, BeforeValidator(fields.names)] = None
    include_control_plane: Annotated[bool, BeforeValidator(fields.flag)] = False

    def instruments(self, test: str) -> tuple[str, ...]:
        """The instruments that run the test, each as cells of its own: those asked for, and the one beside them."""
        kind = TESTS[test]
        asked = tuple(tool for tool in self.tool or () if tool in kind.instruments) or (kind.default_instrument,)
        return tuple(dict.fromkeys((*asked, kind.beside))) if kind.beside is not None and self.stamp else asked

    def is_beside(self, test: str, instrument: str) -> bool:
        """Whether the instrument runs the test unasked: where it cannot, nothing is missing."""
        return instrument == TESTS[test].beside and instrument not in (self.tool or ())

    def reaches_targets(self, test: str, instrument: str) -> bool:
        """Whether targets outside of the mesh are measured by the instrument's test."""
        return test in TARGET_TESTS or (instrument == "stamp" and not self.is_beside(test, instrument))

    @property
    def families(self) -> tuple[Literal[4, 6], ...]:
        """The IP versions that are measured."""
        return (4, 6) if self.family == "both" else (self.family,)

    @property
    def outside(self) -> tuple[Target, ...]:
        """The targets outside of the mesh."""
        return tuple(fields.parse_target(text) for text in self.targets)

    @property
    def selection(self) -> Selection:
        """The nodes that are wanted."""
        return Selection(self.nodes, self.zones, self.selector, self.exclude or ())

    @property
    def precision(self) -> Until | None:
        """How well each cell is to be known."""
        return None if self.until is None else parse_until(self.until)

    @property
    def most_repeats(self) -> int:
        """How often a cell is measured at most."""
        return self.repeat if self.until is None else self.max_repeat or max(MOST_REPEATS, self.repeat)

    @property
    def pause(self) -> Pause | None:
        """When no test is started."""
        return None if self.pause_if is None else fields.parse_pause(self.pause_if)


def ask_from(mapping: Mapping[str, Any]) -> Ask:
    """What a command line or a plan file asks for; options may be written with dashes, null means not given.

    A target adds its path to those asked for. Raises AskError, which names the field and says what would be right.
    """
    given: dict[str, Any] = {}
    for key, value in mapping.items():
        name = str(key).replace("-", "_")
        if name not in Ask.model_fields:
            raise AskError(str(key), fields.unknown("option", key, [_option(field) for field in Ask.model_fields]))
        if name in given:
            raise AskError(_option(name), "it is given twice")
        given[name] = value
    try:
        ask = Ask(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        # Every field's own validator comes first and raises ValueError with a sentence.
        raise AskError(_option(str(first["loc"][0])), str(first["ctx"]["error"])) from None
    paths = dict.fromkeys((*ask.paths, *(target.path for target in ask.outside)))
    ask = ask.model_copy(update={"paths": tuple(paths)})
    if ask.until is not None and given.get("repeat") is None:
        ask = ask.model_copy(update={"repeat": min(LEAST_REPEATS, ask.max_repeat or LEAST_REPEATS)})
    _check(ask)
    return ask


def takes_messages(kind: TestKind) -> bool:
    """Whether a test sends messages whose size can be chosen."""
    return kind.kind in ("bandwidth", "latency", "transactions")


def takes_mss(kind: TestKind) -> bool:
    """Whether the segment size means something to a test."""
    return kind.kind == "bandwidth" and kind.protocol == "tcp"


def sends_at_a_rate(kind: TestKind, instrument: str) -> bool:
    """Whether messages or connects a second can be chosen."""
    return kind.kind == "connect" or (kind.kind == "latency" and instrument in ("sockperf", "stamp"))


def _check(ask: Ask) -> None:
    """Whether the fields go together; an option that nothing asked for could follow is an error."""
    kinds = [TESTS[test] for test in ask.tests]
    named = ", ".join(ask.tests)
    if not ask.stamp and "stamp" in (ask.tool or ()):
        raise AskError("stamp", "it is asked for and refused; leave one of the two out")
    for tool in ask.tool or ():
        if not any(tool in kind.instruments for kind in kinds):
            raise AskError("tool", f"{tool} runs none of the tests {named}")
    idle_options = (
        ("message_sizes", ask.message_sizes is not None, any(map(takes_messages, kinds)), "sends messages"),
        ("mss", ask.mss is not None, any(map(takes_mss, kinds)), "has TCP segments to size"),
        ("under_load", ask.under_load, any(kind.kind == "latency" for kind in kinds), "measures latency"),
        (
            "message_rate",
            ask.message_rate is not None,
            any(sends_at_a_rate(kind, tool) for kind in kinds for tool in ask.instruments(kind.name)),
            f"sends at a rate by {', '.join(dict.fromkeys(t for kind in kinds for t in ask.instruments(kind.name)))}",
        ),
    )
    for field, asked, useful, what in idle_options:
        if asked and not useful:
            raise AskError(_option(field), f"none of the tests {named} {what}")
    if isinstance(ask.rate, int) and ask.max_rate is not None and ask.rate > ask.max_rate:
        raise AskError("rate", f"{format_rate(ask.rate)} is above the max-rate of {format_rate(ask.max_rate)}")
    if ask.max_repeat is not None and ask.until is None:
        raise AskError("max-repeat", "it bounds what --until repeats, which is not asked for")
    if ask.until is not None and ask.repeat < LEAST_REPEATS:
        raise AskError("until", f"it takes at least {LEAST_REPEATS} repeats to know how far they differ")
    if ask.most_repeats < ask.repeat:
        raise AskError("max-repeat", f"{ask.max_repeat} is less than the {ask.repeat} repeats that are always made")
    _check_targets(ask)


def _check_targets(ask: Ask) -> None:
    reached = {target.path for target in ask.outside}
    for path in ask.paths:
        if PATHS[path].outside is not None and path not in reached:
            raise AskError("paths", f"{path} needs a target: {path}:NAME=ADDRESS:PORT")
    measured = [test for test in ask.tests if any(ask.reaches_targets(test, tool) for tool in ask.instruments(test))]
    if ask.targets and not measured:
        sentence = "targets are measured by tcp-connect, or by udp-latency with tool stamp; neither is asked for"
        raise AskError("targets", sentence)


def _option(field: str) -> str:
    return field.replace("_", "-")
