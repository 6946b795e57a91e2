"""Labs: up, open, list, set, down."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netmesh_controller.identity import make_identity
from netmesh_controller.lab import agents as lab_agents
from netmesh_controller.lab import cgroups, namespaces, needs, network, processes, relays, state
from netmesh_controller.lab.addressing import (
    NAME,
    PLACE_NAMES,
    ROLES,
    LabAddresses,
    PodRole,
    Role,
    Where,
    agent_namespace,
    check_name,
    fabric_namespace,
    lab_addresses,
)
from netmesh_controller.lab.agents import PORT
from netmesh_controller.lab.errors import LabInputError
from netmesh_controller.lab.services import Family, rules_met
from netmesh_controller.lab.spec import MAX_SERVICE_NODES, LabSpec, load_spec, spec_of
from netmesh_controller.lab.state import State

# Longer than a lab lives.
_CERTIFICATE_DAYS = 3650


@dataclass(frozen=True)
class LabAgent:
    """An agent of a lab: its gRPC server, reached from inside of the lab. `address6` is None without IPv6.

    `service`, `service6`: the addresses of the Service that leads to it; None of a host-role agent, which has none.
    """

    node: str
    role: Role
    address: str
    address6: str | None
    port: int
    service: str | None
    service6: str | None


@dataclass(frozen=True)
class LabSummary:
    """A line of the list of labs. `abandoned`: nobody holds it any more; the next start removes it."""

    name: str
    nodes: int
    agents: int
    agents_alive: int
    ephemeral: bool
    abandoned: bool


class Lab:
    """A lab that is up. `close` when done: an ephemeral lab is then taken down by the one that started it."""

    def __init__(self, recorded: State, lock: int, *, started_here: bool) -> None:
        self._state = recorded
        self._lock: int | None = lock
        self._started_here = started_here

    @property
    def name(self) -> str:
        """The lab's name."""
        return self._state.name

    @property
    def spec(self) -> LabSpec:
        """What the lab was when it was started, opened or refreshed."""
        return self._state.spec

    def refresh(self) -> None:
        """Takes up what `set_lab` changed since."""
        self._state = state.load(self.name) or self._state

    @property
    def addresses(self) -> LabAddresses:
        """Every address in the lab."""
        return _addresses(self._state)

    @property
    def certificates(self) -> Path:
        """The folder with the lab's certificates, as identity.make_identity writes them."""
        return self._state.certificates

    def nodes(self) -> list[tuple[str, str | None]]:
        """Every node's name and zone, in order."""
        return [(node, self.spec.zone(node)) for node in self.spec.names()]

    def targets(self) -> list[LabAgent]:
        """Every agent, node by node: that of the pod, the peer's, the host's."""
        return [self._target(node, role) for node in self.spec.names() for role in ROLES]

    def _target(self, node: str, role: Role) -> LabAgent:
        own = lab_agents.own_addresses((node, role), self.addresses)
        service = self.addresses.nodes[node].services.get(role) if role != "host" else None
        v6 = namespaces.has_ipv6()
        return LabAgent(
            node=node,
            role=role,
            address=str(own.v4.ip),
            address6=str(own.v6.ip) if v6 else None,
            port=PORT,
            service=str(service.v4) if service else None,
            service6=str(service.v6) if service and v6 else None,
        )

    def service_address(self, node: str, role: PodRole, family: Family) -> str:
        """The address of the Service in front of a pod, with the same ports as the agent in it uses for its tools.

        LabInputError where there is none: in a lab of too many nodes, or without IPv6.
        """
        service = self.addresses.nodes[node].services.get(role)
        if service is None:
            raise LabInputError(f"services: labs of more than {MAX_SERVICE_NODES} nodes have none.")
        if family == 6 and not namespaces.has_ipv6():
            raise LabInputError("services: this kernel has no IPv6.")
        return str(service.v4 if family == 4 else service.v6)

    def enter(self) -> None:
        """Moves the calling thread into the lab, beside the switch, from where every agent can be reached.

        Threads and processes started from now on are there too, those that run already are not: to be called before
        the event loop and gRPC start theirs. Sockets that are open stay in the network that they were opened in.
        """
        namespaces.enter(fabric_namespace(self.name))

    def facts(self) -> dict[str, Any]:
        """What a run should say of the lab: its shape, as asked for and as it came out, in bits a second.

        `service_rules`: the rules of KUBE-SERVICES that a new connection meets, at a node and in a family. `delays`:
        by what packets are delayed and how well that has gone so far, by device (seconds); None without delays.
        """
        has_services = self.spec.nodes <= MAX_SERVICE_NODES
        return {
            "lab": self.name,
            "shared_host": True,
            "spec": self.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "links": {
                node: {
                    "out_bits_per_second": self.spec.uplink_rate(node, "out"),
                    "in_bits_per_second": self.spec.uplink_rate(node, "in"),
                    "pod_bits_per_second": self.spec.pod_rate(node),
                }
                for node in self.spec.names()
            },
            "kube_proxy_mode": "iptables (lab)" if has_services else None,
            "service_rules": rules_met(self.spec, self.addresses) if has_services else None,
            "delays": relays.facts(self._state),
        }

    def close(self) -> None:
        """Lets go of the lab; an ephemeral one is taken down. Once is enough, more is harmless."""
        if self._lock is None:
            return
        try:
            if self._started_here and self._state.ephemeral:
                with state.changing():
                    state.remove(self.name)
        finally:
            self.release()

    def release(self) -> None:
        """Lets go of the lab and leaves it as it is: one that nobody else holds is removed by the next start."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def up(spec: LabSpec, name: str | None = None, *, ephemeral: bool | None = None, agents: bool = True) -> Lab:
    """Starts a lab and returns when its agents listen; first removes labs that nobody holds any more.

    An ephemeral lab (by default one without a name) ends with this process, whatever that dies of, and must be
    started from a thread that stays: its agents die with that. Any other stays until `down`, or until its last
    agent is dead; where it is up already with the same spec, its dead agents are started again, and nothing else.
    `agents=False` makes the network alone.
    LabInputError where the name cannot be had, LabError where the lab cannot be built: then nothing is left of it.
    """
    needs.check()
    ephemeral = name is None if ephemeral is None else ephemeral
    name = f"lab-{secrets.token_hex(3)}" if name is None else check_name(name)
    with state.changing():
        state.remove_abandoned()
        known = state.load(name)
        if known is not None:
            _check_same(known, spec)
        recorded = known or State(name, state.free_index(), ephemeral, spec)
        recorded.folder.mkdir(parents=True, exist_ok=True)
        lab = Lab(recorded, state.hold(name), started_here=known is None)
        with _or_nothing(lab, known is None, nullcontext()):
            if known is None:
                recorded.save()
                make_identity(recorded.certificates, days=_CERTIFICATE_DAYS)
                network.build(name, spec, lab.addresses)
            before = known.spec if known is not None else None
            relays.delay(recorded, before, lab.addresses, dies_with_parent=ephemeral)
            if agents:
                _start_dead_agents(recorded)
    # The wait is not under the lock: other labs may start in the meantime.
    with _or_nothing(lab, known is None, state.changing()):
        lab_agents.wait_ready(recorded.folder, recorded.agents, lab.addresses)
        _limit_cpu(recorded)
    return lab


def _check_same(known: State, spec: LabSpec) -> None:
    if known.ephemeral:
        raise LabInputError(f"name: lab {known.name} belongs to a process that still runs; take another name.")
    if known.spec != spec:
        raise LabInputError(
            f"name: lab {known.name} is up with another shape; `lab set {known.name} FILE` gives it a new one."
        )


@contextmanager
def _or_nothing(lab: Lab, fresh: bool, lock: AbstractContextManager[None]) -> Iterator[None]:
    """Removes a lab that was just made, holding `lock`, where what is done in here fails."""
    try:
        yield
    except BaseException:
        if fresh:
            with lock:
                state.remove(lab.name)
        lab.release()
        raise


def _start_dead_agents(recorded: State) -> None:
    addresses = _addresses(recorded)
    lock = None if recorded.ephemeral else state.hold(recorded.name)
    try:
        for node in recorded.spec.names():
            for role in ROLES:
                process = recorded.agents.get((node, role))
                if process is None or not process.alive():
                    command = lab_agents.command(
                        recorded.name,
                        (node, role),
                        addresses,
                        recorded.certificates,
                        dies_with_parent=recorded.ephemeral,
                    )
                    log = lab_agents.log_file(recorded.folder, (node, role))
                    recorded.agents[node, role] = processes.start(command, log, lock)
        recorded.save()
    finally:
        if lock is not None:
            os.close(lock)


def _limit_cpu(recorded: State) -> None:
    for (node, role), process in recorded.agents.items():
        if role != "host":
            pods = recorded.spec.pods.get(node)
            cgroups.limit(recorded.name, f"{node}-{PLACE_NAMES[role]}", process, pods.cpu if pods else None)


def _addresses(recorded: State) -> LabAddresses:
    return lab_addresses(recorded.index, recorded.spec.nodes)


def _existing(name: str) -> State:
    known = state.load(check_name(name))
    if known is None or not state.held(name):
        others = [each for each in state.recorded() if state.held(each)]
        raise LabInputError(
            f"name: there is no lab {name}; {'labs are ' + ', '.join(others) if others else 'there is none at all'}."
        )
    return known


def open_lab(name: str) -> Lab:
    """A lab that is up, kept from being tidied away until it is closed; LabInputError where there is none."""
    needs.check()
    with state.changing():
        return Lab(_existing(name), state.hold(name), started_here=False)


def list_labs() -> list[LabSummary]:
    """Every lab on this machine, by name."""
    needs.check()
    with state.changing():
        return [
            LabSummary(
                name=name,
                nodes=known.spec.nodes,
                agents=len(known.agents),
                agents_alive=sum(process.alive() for process in known.agents.values()),
                ephemeral=known.ephemeral,
                abandoned=not state.held(name),
            )
            for name, known in ((name, state.load(name)) for name in state.recorded())
            if known is not None
        ]


def set_lab(name: str, spec: LabSpec) -> None:
    """Gives a running lab another shape, changing only what differs; the number of nodes has to stay.

    LabInputError where it does not or there is no such lab, LabError where the kernel refuses the shape.
    """
    needs.check()
    with state.changing():
        known = _existing(name)
        if known.spec.nodes != spec.nodes:
            raise LabInputError(
                f"nodes: lab {name} has {known.spec.nodes}, and that cannot change while it runs; take it down first."
            )
        network.reshape(name, known.spec, spec, _addresses(known))
        before, known.spec = known.spec, spec
        # Not bound to this process, which may be another than the lab's.
        relays.delay(known, before, _addresses(known), dies_with_parent=False)
        known.save()
        _limit_cpu(known)


def down(name: str) -> None:
    """Takes a lab down, and removes labs that nobody holds any more; LabInputError where there is none."""
    needs.check()
    with state.changing():
        if name not in state.remove_abandoned():
            state.remove(_existing(name).name)


def exec_argv(name: str, node: str, where: Where, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on a node or in one of its pods; LabInputError where there is none."""
    needs.check()
    known = _existing(name)
    if node not in known.spec.names():
        raise LabInputError(f"node: lab {name} has no {node}; its nodes are {', '.join(known.spec.names())}.")
    if not command:
        raise LabInputError("command: there is none; give it after --, such as `-- ip address`.")
    roles: dict[Where, Role] = {place: role for role, place in PLACE_NAMES.items()}
    namespace = agent_namespace(name, node, roles[where])
    return ["nsenter", f"--net={namespaces.FOLDER / namespace}", "--", *command]


def spec_from(text: str) -> LabSpec:
    """The spec that a number of nodes or a file's name stands for; LabInputError where it is neither."""
    if text.isdecimal():
        return spec_of(int(text))
    try:
        return load_spec(Path(text).read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise LabInputError(f"Cannot read the lab's file {text}: {reason}.") from error


def lab_for(text: str) -> Lab:
    """What `--lab` means: a number of nodes or a file (a lab for this process), or the name of a lab that is up."""
    if text.isdecimal() or Path(text).is_file() or not NAME.fullmatch(text):
        return up(spec_from(text))
    return open_lab(text)
