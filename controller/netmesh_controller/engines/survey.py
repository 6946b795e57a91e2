"""Who is there, and what each can do: every agent is asked once before a plan is made."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import CALL_SECONDS, AgentClient, AgentError, close_all
from netmesh_controller.engines.measure import AgentHandle, addresses_of
from netmesh_controller.inventory.located import InventoryError, Located, Presence
from netmesh_controller.inventory.services import ServiceMaker
from netmesh_controller.mesh import hostwindow
from netmesh_controller.mesh.ask import AskError
from netmesh_controller.mesh.document import Agent, Node, Reason
from netmesh_controller.mesh.hostsamples import Part, Samples
from netmesh_controller.mesh.selection import Selection

IDLE_SECONDS = 1.0
# Before a connection whose handshake failed is tried once more.
AGAIN_SECONDS = 1.0
# A node whose CPU is busier than this while nothing is measured is not idle enough.
IDLE_SHARE = 0.15
# So many agents are connected to at once: a thousand TLS handshakes together would take each other's time to answer.
CONNECTING = 64

# Facts in which nodes of one mesh should agree; where they do not, numbers may differ for that reason alone.
_COMPARED = ("kernel", "agent_version", "congestion_control", "mtu_bytes", "cpus")


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found: nodes for the document, agents to use, and nodes that did not answer.

    `remarks` are sentences on what may make numbers differ: facts in which nodes differ, nodes that are not idle.
    """

    nodes: tuple[Node, ...]
    agents: dict[tuple[str, str], AgentHandle]
    unreachable: dict[str, Reason]
    remarks: tuple[str, ...]
    shared_host: bool
    presence: Presence | None = None
    maker: ServiceMaker | None = None

    @property
    def has_services(self) -> bool:
        """Whether there are Services in front of the agents, or can be."""
        return self.maker is not None or any(agent.services for agent in self.agents.values())

    async def close(self) -> None:
        """Ends the connections."""
        await close_all([handle.client for handle in self.agents.values()])


async def survey(
    located: Sequence[Located],
    certificates: Certificates | Callable[[], Certificates],
    *,
    idle_seconds: float = IDLE_SECONDS,
    term: int = 0,
    selection: Selection | None = None,
    presence: Presence | None = None,
    maker: ServiceMaker | None = None,
    answer_seconds: float = CALL_SECONDS,
) -> Survey:
    """Asks every agent what it is, then watches all hosts for `idle_seconds` as the baseline of their cost.

    `certificates` may be a function that tells them as they are now; they may be rotated while a sweep runs.
    `term` goes with every call of the connections that are made here; agents refuse one that is over.

    An agent that says nothing for `answer_seconds` does not answer.
    Nodes that `selection` does not include are left out; AskError where it names what is not there, or leaves nothing.
    An agent that does not answer makes its node unreachable, with the reason, and one that is away is not asked;
    InventoryError where two agents say that they are the same role of the same node.
    """
    chosen = Selection() if selection is None else selection
    # A source that knows its nodes' names needs to be asked about those that are wanted only.
    if all(entry.node is not None for entry in located):
        _check_selection(chosen, {str(entry.node): entry.zone for entry in located})
        wanted = [entry for entry in located if chosen.includes(str(entry.node), entry.zone, entry.labels)]
        if located and not wanted:
            raise AskError("nodes", "none of the nodes is selected")
        located, chosen = wanted, Selection()
    everybody = located
    absent = [entry for entry in located if entry.away is not None]
    located = [entry for entry in located if entry.away is None]
    clients = [AgentClient(entry.address, certificates, term=term) for entry in located]
    answers = await _described(clients, located, answer_seconds)
    found: list[tuple[Located, AgentClient, dict[str, Any]]] = []
    unreachable: dict[str, Reason] = {}
    entries_of: dict[str, list[Located]] = defaultdict(list)
    for entry, client, answer in zip(located, clients, answers, strict=True):
        if isinstance(answer, AgentError):
            node = entry.node or entry.address
            unreachable[node] = _no_answer(node, entry, answer)
            entries_of[node].append(entry)
            await client.close()
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.append((entry, client, answer))
            entries_of[answer["node"]].append(entry)
    for entry in absent:
        node = entry.node or entry.address
        entries_of[node].append(entry)
        unreachable[node] = Reason(code="agent_away", message=str(entry.away))
    try:
        entries_of = _selected(chosen, entries_of)
    except AskError:
        await close_all(clients)
        raise
    await close_all([client for _, client, facts in found if facts["node"] not in entries_of])
    found = [one for one in found if one[2]["node"] in entries_of]
    agents: dict[tuple[str, str], AgentHandle] = {}
    facts_of: dict[tuple[str, str], dict[str, Any]] = {}
    for entry, client, facts in found:
        key = (facts["node"], facts["role"])
        if key in agents:
            raise InventoryError(
                f"agents: {agents[key].client.address} and {entry.address} both say that they are the "
                f"{facts['role']} agent of {facts['node']}; give each agent a node name of its own (--node)"
            )
        agents[key] = handle_of(client, entry, facts)
        facts_of[key] = facts
    # Where a node's own agent answers, a missing peer is a gap of the local cells alone.
    unreachable = {
        node: reason for node, reason in unreachable.items() if (node, "pod") not in agents and node in entries_of
    }
    agents = await _with_baselines(agents, idle_seconds)
    # As the source names them; those that it does not know by name as they were found.
    order = {name: place for place, name in enumerate(dict.fromkeys(entry.node for entry in everybody))}
    names = sorted(entries_of, key=lambda name: order.get(name, len(order)))
    nodes = tuple(_node(name, entries_of[name][0], agents, facts_of) for name in names)
    shared = _share_a_kernel(nodes, facts_of)
    return Survey(nodes, agents, unreachable, (*differences(nodes), *restless(nodes)), shared, presence, maker)


async def _described(
    clients: Sequence[AgentClient], located: Sequence[Located], answer_seconds: float
) -> list[dict[str, Any] | BaseException]:
    """What each agent says of itself, or why it is not taken; the time that one has begins when it is its turn."""
    places = asyncio.Semaphore(CONNECTING)

    async def said(client: AgentClient) -> dict[str, Any]:
        async with places:
            return await client.describe(answer_seconds)

    async def one(client: AgentClient, entry: Located) -> dict[str, Any]:
        try:
            facts = await said(client)
        except AgentError as error:
            if not error.lost or error.code != "refused":
                raise
            # A handshake that failed: of another authority, or on a path that loses packets. The latter may be what is
            # to be found out, and is no agent that is away. Nobody else waits for this one meanwhile.
            await asyncio.sleep(AGAIN_SECONDS)
            facts = await said(client)
        another = entry.another(facts)
        if another is not None:
            raise AgentError("refused", another)
        return facts

    asked = (one(*pair) for pair in zip(clients, located, strict=True))
    return await asyncio.gather(*asked, return_exceptions=True)


def _share_a_kernel(nodes: Sequence[Node], facts_of: Mapping[tuple[str, str], dict[str, Any]]) -> bool:
    kernels = [
        {facts["boot_id"] for (name, _), facts in facts_of.items() if name == node.name} - {None} for node in nodes
    ]
    return len({boot_id for ids in kernels for boot_id in ids}) < sum(1 for ids in kernels if ids)


def _selected(selection: Selection, entries_of: Mapping[str, list[Located]]) -> dict[str, list[Located]]:
    """The nodes that are wanted; AskError where there are none, or one that is named is not there."""
    _check_selection(selection, {node: entries[0].zone for node, entries in entries_of.items()})
    chosen = {
        node: entries
        for node, entries in entries_of.items()
        if selection.includes(node, entries[0].zone, entries[0].labels)
    }
    if entries_of and not chosen:
        raise AskError("nodes", "none of the nodes is selected")
    return chosen


def _no_answer(node: str, entry: Located, error: AgentError) -> Reason:
    if error.lost and entry.excuse is not None:
        return Reason(code="agent_away", message=f"{entry.excuse}, and {error.message}")
    code = "unreachable" if error.code in {"agent_lost", "timeout"} else error.code
    return Reason(code=code, message=f"{node}: {error.message}")


def _check_selection(selection: Selection, zones: Mapping[str, str | None]) -> None:
    wrong = selection.wrong(zones)
    if wrong is not None:
        raise AskError(*wrong)


def handle_of(client: AgentClient, entry: Located, facts: dict[str, Any]) -> AgentHandle:
    """The handle of an agent that said `facts` of itself."""
    return AgentHandle(
        facts["node"],
        facts["role"],
        client,
        addresses_of(facts, entry.address),
        facts["tools"],
        facts["boot_id"],
        services=entry.services,
        all_addresses=tuple(facts["addresses"]),
    )


def _node(
    name: str,
    entry: Located,
    agents: Mapping[tuple[str, str], AgentHandle],
    facts_of: Mapping[tuple[str, str], dict[str, Any]],
) -> Node:
    mine = [(role, handle) for (node, role), handle in agents.items() if node == name]
    described = [
        Agent(role=role, address=next(iter(handle.addresses.values())), facts=facts_of[name, role])
        for role, handle in sorted(mine, key=lambda pair: ("pod", "peer", "host").index(pair[0]))
    ]
    facts = {**node_facts(described), **entry.facts}
    if mine:
        facts["idle_busy_cores"] = mine[0][1].idle_busy_cores
    return Node(name=name, zone=entry.zone, labels=dict(entry.labels), agents=described, facts=facts)


def node_facts(agents: Sequence[Agent]) -> dict[str, Any]:
    """A node's facts, by its agents: those of the first, and the line rate of whichever knows it.

    Only an agent on the node's own network can tell the line's rate; what its pods send goes through the same line.
    """
    if not agents:
        return {}
    known = (agent.facts.get("line_rate_bits_per_second") for agent in agents)
    return {
        **agents[0].facts,
        "line_rate_bits_per_second": next((rate for rate in known if rate is not None), None),
    }


async def _with_baselines(
    agents: dict[tuple[str, str], AgentHandle], seconds: float
) -> dict[tuple[str, str], AgentHandle]:
    """The handles with the busy cores of their hosts while nothing is measured; None where it is not known."""
    if seconds <= 0:
        return agents
    baselines = await asyncio.gather(*(_baseline(handle.client, seconds) for handle in agents.values()))
    return {
        key: replace(handle, idle_busy_cores=baseline[0], idle_error_cores=baseline[1]) if baseline else handle
        for (key, handle), baseline in zip(agents.items(), baselines, strict=True)
    }


async def _baseline(client: AgentClient, seconds: float) -> tuple[float, float] | None:
    parts: list[Part] = []
    until = time.monotonic() + seconds
    watched = client.watch_host("", seconds / 4)
    try:
        async with aclosing(watched):
            async for part in watched:
                parts.append(part)
                if time.monotonic() >= until:
                    break
    except AgentError:
        return None
    return hostwindow.idle_baseline(Samples(parts))


def differences(nodes: Sequence[Node]) -> list[str]:
    """One sentence for each fact and tool version in which the nodes differ."""
    sentences = []
    for name in _COMPARED:
        sentences += _difference(name.removesuffix("_bytes"), {node.name: node.facts.get(name) for node in nodes})
    tools = sorted({tool for node in nodes for tool in node.facts.get("tools", {})})
    for tool in tools:
        versions = {node.name: node.facts.get("tools", {}).get(tool, "missing") for node in nodes if node.agents}
        sentences += _difference(tool, versions)
    return sentences


def restless(nodes: Sequence[Node]) -> list[str]:
    """One sentence for all nodes that were busy before the first test: latencies and costs will show it."""
    busy = [
        f"{node.name} ({node.facts['idle_busy_cores']:.1f} of {node.facts['cpus']} cores)"
        for node in nodes
        if node.facts.get("cpus") and (node.facts.get("idle_busy_cores") or 0) > IDLE_SHARE * node.facts["cpus"]
    ]
    return [f"not idle before the first test: {_some(busy)}"] if busy else []


def _difference(name: str, values: Mapping[str, Any]) -> list[str]:
    groups: dict[Any, list[str]] = defaultdict(list)
    for node, value in values.items():
        if value is not None:
            groups[value].append(node)
    if len(groups) < 2:
        return []
    parts = [f"{value} on {_some(names)}" for value, names in sorted(groups.items(), key=lambda item: str(item[0]))]
    return [f"{name} differs: {'; '.join(parts)}"]


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
