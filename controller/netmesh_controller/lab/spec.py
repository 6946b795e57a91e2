"""The lab's file: how many nodes, and how their links, pairs and pods differ. Pure: text in, values out."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from netmesh_common.units import parse_duration, parse_rate
from netmesh_controller.lab.errors import LabInputError
from netmesh_controller.mesh.yamltext import YamlTextError, loaded

MAX_NODES = 200
# Slower than this a shaper's smallest burst is no longer small beside a test of seconds; faster no memory bus is.
MIN_RATE, MAX_RATE = 1_000_000, 100_000_000_000
# IPv6 needs 1280 on every link (RFC 8200 §5); 9216 is the largest frame payload that switches carry.
MIN_MTU, MAX_MTU = 1280, 9216
# A default uplink: what two cores can carry of all tests that run at once, so that the shaped rate is the true one.
FASTEST_DEFAULT = 1_000_000_000
# Seconds that one delay may last: to the moon and back takes no longer.
MAX_DELAY = 3.0
# Every node has rules for every port of every Service: some 5,000 a node in the largest lab that has Services.
MAX_SERVICE_NODES = 32
# Rules before the Services' own that a node may have: a large cluster's.
MAX_UNRELATED_RULES = 50_000


def _rate(value: object) -> int:
    """Bits a second from `100M`, `1.5G` or a plain number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a rate such as 100M")  # noqa: TRY004  # pydantic turns ValueError only
    rate = parse_rate(str(value))
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"{value} is outside of what can be shaped, 1M to 100G")
    return rate


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number beyond any float
        return None


def _loss(value: object) -> float:
    ratio = _number(value)
    if ratio is None or not 0 <= ratio <= 1:
        raise ValueError(f"{value!r} is not a ratio from 0 to 1, such as 0.02 for 2 %")
    return ratio


def _cpu(value: object) -> float:
    cores = _number(value)
    if cores is None or not 0.01 <= cores <= 1024:
        raise ValueError(f"{value!r} is not a number of cores from 0.01 on, such as 0.5")
    return cores


def _whole(value: object, least: int, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{value!r} is not {what} from {least} to {most}")
    return value


def _mtu(value: object) -> int:
    return _whole(value, MIN_MTU, MAX_MTU, "a size in bytes")


def _nodes(value: object) -> int:
    return _whole(value, 1, MAX_NODES, "a whole number")


def _rules(value: object) -> int:
    return _whole(value, 0, MAX_UNRELATED_RULES, "a whole number")


def _delay(value: object) -> float:
    """Seconds from `2ms` or a plain number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a delay such as 2ms")  # noqa: TRY004  # as above
    seconds = parse_duration(value) if isinstance(value, str) else _number(value)
    if seconds is None or not 0 <= seconds <= MAX_DELAY:
        raise ValueError(f"{value} is outside of how long packets can be held, 0 to 3s")
    return seconds


Rate = Annotated[int, BeforeValidator(_rate)]
Loss = Annotated[float, BeforeValidator(_loss)]
Bytes = Annotated[int, BeforeValidator(_mtu)]
Delay = Annotated[float, BeforeValidator(_delay)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Link(_Part):
    """A node's uplink. `direction` says which way `rate` (bits a second), `loss` and `delay` (seconds, one way) hold,
    seen from the node; `mtu` (bytes) holds for the uplink and, as a network plugin would set them, for its pods.
    """

    rate: Rate | None = None
    mtu: Bytes = 1500
    loss: Loss = 0.0
    delay: Delay = 0.0
    direction: Literal["out", "in", "both"] = "both"

    def holds(self, way: Literal["out", "in"]) -> bool:
        """Whether rate, loss and delay hold for what leaves (`out`) or reaches (`in`) the node."""
        return self.direction in (way, "both")


class Pair(_Part):
    """Traffic from one node and its pods to another node and its pods, one way.

    `drop_larger_than` drops IP packets above that many bytes: where a router would, which says so by ICMP; with
    `icmp` false nobody is told. `jitter` is so many seconds at most that packets take beyond `delay`, in order.
    """

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    rate: Rate | None = None
    loss: Loss = 0.0
    delay: Delay = 0.0
    jitter: Delay = 0.0
    drop_larger_than: Bytes | None = None
    icmp: bool = True


class Pods(_Part):
    """Limits of a node's pods, each by itself: `cpu` in cores."""

    cpu: Annotated[float, BeforeValidator(_cpu)] | None = None


class Services(_Part):
    """`unrelated_rules`: rules of other Services that each new connection meets first."""

    unrelated_rules: Annotated[int, BeforeValidator(_rules)] = 0


class LabSpec(_Part):
    """A lab. Nodes are `node-1` … `node-N`; what the file does not name has the defaults."""

    nodes: Annotated[int, BeforeValidator(_nodes)]
    zones: dict[str, list[str]] = Field(default_factory=dict)
    links: dict[str, Link] = Field(default_factory=dict)
    pairs: list[Pair] = Field(default_factory=list)
    pods: dict[str, Pods] = Field(default_factory=dict)
    services: Services = Services()

    @model_validator(mode="after")
    def _names(self) -> LabSpec:
        known = set(self.names())
        if self.services.unrelated_rules and self.nodes > MAX_SERVICE_NODES:
            raise LabInputError(f"services: labs of more than {MAX_SERVICE_NODES} nodes have none; leave it out.")
        self._check_zones(known)
        for part in ("links", "pods"):
            for name in getattr(self, part):
                self._check_node(f"{part}.{name}", name, known)
        seen: set[tuple[str, str]] = set()
        for number, pair in enumerate(self.pairs):
            self._check_node(f"pairs[{number}].from", pair.source, known)
            self._check_node(f"pairs[{number}].to", pair.target, known)
            if pair.source == pair.target:
                raise LabInputError(f"pairs[{number}]: from and to are both {pair.source}; a pair has two nodes.")
            if (pair.source, pair.target) in seen:
                raise LabInputError(
                    f"pairs[{number}]: {pair.source} to {pair.target} stands there already; say it once."
                )
            seen.add((pair.source, pair.target))
        return self

    def _check_zones(self, known: set[str]) -> None:
        placed: dict[str, str] = {}
        for zone, members in self.zones.items():
            for name in members:
                self._check_node(f"zones.{zone}", name, known)
                if name in placed:
                    raise LabInputError(f"zones.{zone}: {name} is in zone {placed[name]} already; a node has one zone.")
                placed[name] = zone

    def _check_node(self, where: str, name: str, known: set[str]) -> None:
        if name not in known:
            every = "the only node is node-1" if self.nodes == 1 else f"nodes are node-1 … node-{self.nodes}"
            raise LabInputError(f"{where}: there is no node {name}; {every}.")

    def names(self) -> list[str]:
        """The nodes' names, in order."""
        return [f"node-{number}" for number in range(1, self.nodes + 1)]

    def zone(self, node: str) -> str | None:
        """The zone of a node; None where the file places it in none."""
        return next((zone for zone, members in self.zones.items() if node in members), None)

    def link(self, node: str) -> Link:
        """A node's uplink as the file says, or the default one."""
        return self.links.get(node, Link())

    def default_rate(self) -> int:
        """Bits a second of an uplink that the file does not shape: min(1, 2 / max(1, ⌊N/2⌋)) Gbit/s."""
        return min(FASTEST_DEFAULT, 2 * FASTEST_DEFAULT // max(1, self.nodes // 2))

    def uplink_rate(self, node: str, way: Literal["out", "in"]) -> int:
        """Bits a second of a node's uplink, for what leaves (`out`) or reaches (`in`) the node."""
        link = self.link(node)
        return link.rate if link.rate is not None and link.holds(way) else self.default_rate()

    def pod_rate(self, node: str) -> int:
        """Bits a second of the links of a node's pods: twice its uplink, so that a pod never is the narrow place."""
        return 2 * max(self.default_rate(), self.uplink_rate(node, "out"), self.uplink_rate(node, "in"))

    def delay(self, source: str | None, target: str | None) -> float:
        """Seconds that what one node sends is on its way to another; None stands for the controller's place."""
        seconds = sum(pair.delay for pair in self.pairs if (pair.source, pair.target) == (source, target))
        if source is not None and self.link(source).holds("out"):
            seconds += self.link(source).delay
        if target is not None and self.link(target).holds("in"):
            seconds += self.link(target).delay
        return seconds

    def jitter(self, source: str | None, target: str | None) -> float:
        """Seconds at most that what one node sends to another takes beyond its delay."""
        return sum(pair.jitter for pair in self.pairs if (pair.source, pair.target) == (source, target))

    def lossy_sources(self) -> set[str]:
        """The nodes that send, or whose pods send, through a rule that drops packets one by one."""
        sources = {pair.source for pair in self.pairs if pair.loss or (pair.drop_larger_than and not pair.icmp)}
        for name, link in self.links.items():
            if link.loss and link.holds("out"):
                sources.add(name)
            if link.loss and link.holds("in"):
                sources.update(other for other in self.names() if other != name)
        return sources


_PARTS: dict[str, type[BaseModel]] = {"links": Link, "pairs": Pair, "pods": Pods, "services": Services}
_SHAPES = {
    "dict_type": "a mapping, such as {node-1: …}",
    "list_type": "a list",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "string_type": "a text",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "literal_error": "out, in or both",
}


def _fields(location: tuple[int | str, ...]) -> str:
    model = _PARTS.get(str(location[0]), LabSpec) if len(location) > 1 else LabSpec
    return ", ".join(field.alias or name for name, field in model.model_fields.items())


def _sentence(error: Any) -> str:
    """One sentence for the first thing that pydantic found wrong, which names the field."""
    location: tuple[int | str, ...] = error["loc"]
    where = re.sub(r"\.\[", "[", ".".join(f"[{part}]" if isinstance(part, int) else part for part in location))
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"{where}: there is no such field; the fields are {_fields(location)}."
    if kind == "missing":
        return f"{where}: this field is missing."
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}."
    return f"{where}: {value!r} is not {_SHAPES.get(kind, 'a value that fits here')}."


def parse_spec(data: object) -> LabSpec:
    """A lab from the values of its file; LabInputError names the field and what would be right."""
    if not isinstance(data, dict):
        raise LabInputError("A lab's file is a mapping of fields and has at least `nodes`, such as `nodes: 4`.")
    try:
        return LabSpec.model_validate(data)
    except ValidationError as error:
        raise LabInputError(_sentence(error.errors()[0])) from error


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            keys = [self.construct_object(key) for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise LabInputError(f"{twice}: stands twice in one mapping (line {node.start_mark.line + 1}).")
        return mapping


def load_spec(text: str) -> LabSpec:
    """A lab from the text of its YAML file; LabInputError names the field and what would be right."""
    try:
        data = loaded(text, _Loader)
    except YamlTextError as error:
        raise LabInputError(f"The lab's file is not YAML: {error}.") from error
    return parse_spec(data)


def spec_of(nodes: int) -> LabSpec:
    """A lab of `nodes` alike nodes."""
    return parse_spec({"nodes": nodes})
