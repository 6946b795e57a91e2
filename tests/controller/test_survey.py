"""What a survey says of nodes that differ, or that are not idle; how many it asks at once, and how often again."""

import asyncio
from itertools import islice
from typing import Any, cast

import pytest

from netmesh_controller.clients.agents import AgentClient, AgentError
from netmesh_controller.engines.absence import PAUSE_SECONDS, pauses_seconds
from netmesh_controller.engines.survey import CONNECTING, _described, differences, node_facts, restless
from netmesh_controller.inventory.located import Located
from netmesh_controller.mesh.document import Agent, Node


def node(name: str, **facts: object) -> Node:
    return Node(name=name, agents=[Agent(role="pod", address="10.0.0.1")], facts=facts)


def test_nodes_that_agree_need_no_word() -> None:
    assert differences([node("a", kernel="6.1", tools={"iperf3": "3.12"})] * 2) == []


def test_each_difference_is_named_with_who_has_what() -> None:
    nodes = [node("a", mtu_bytes=1500, tools={"iperf3": "3.12"}), node("b", mtu_bytes=9000, tools={})]
    assert differences(nodes) == ["mtu differs: 1500 on a; 9000 on b", "iperf3 differs: 3.12 on a; missing on b"]


def test_what_is_not_known_is_no_difference() -> None:
    assert differences([node("a", kernel="6.1"), node("b", kernel=None)]) == []


def test_a_busy_node_is_named_with_its_share() -> None:
    nodes = [node("a", cpus=4, idle_busy_cores=0.1), node("b", cpus=4, idle_busy_cores=1.5)]
    assert restless(nodes) == ["not idle before the first test: b (1.5 of 4 cores)"]


def test_an_unknown_baseline_is_no_warning() -> None:
    assert restless([node("a", cpus=4, idle_busy_cores=None), node("b")]) == []


@pytest.mark.parametrize(
    ("rates", "rate"), [((None, None, 10**10), 10**10), ((None, None), None), ((5, 10), 5), ((None,), None)]
)
def test_the_line_rate_is_the_host_agents(rates: tuple[int | None, ...], rate: int | None) -> None:
    agents = [
        Agent(role=role, address="10.0.0.1", facts={"kernel": role, "line_rate_bits_per_second": each})
        for role, each in zip(("pod", "peer", "host"), rates, strict=False)
    ]
    assert node_facts(agents) == {"kernel": "pod", "line_rate_bits_per_second": rate}


def test_a_node_without_agents_has_no_facts_of_theirs() -> None:
    assert node_facts([]) == {}


async def test_a_thousand_agents_are_not_connected_to_at_once() -> None:
    """After a controller's start all of them are asked, and each has the time of its question for itself."""
    asked, most = 0, 0

    class Client:
        async def describe(self, *_: Any, **__: Any) -> dict[str, Any]:
            nonlocal asked, most
            asked += 1
            most = max(most, asked)
            await asyncio.sleep(0)
            asked -= 1
            raise AgentError("agent_lost", "gone", lost=True)

    answers = await _described([cast("AgentClient", Client())] * 1000, [Located("")] * 1000, 10)
    assert len(answers) == 1000
    assert all(isinstance(answer, AgentError) for answer in answers)
    assert most == CONNECTING


@pytest.mark.parametrize(("error", "asked"), [(("refused", True), 2), (("refused", False), 1), (("timeout", True), 1)])
async def test_a_handshake_that_failed_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, error: tuple[str, bool], asked: int
) -> None:
    monkeypatch.setattr("netmesh_controller.engines.survey.AGAIN_SECONDS", 0.0)
    calls = []

    class Client:
        async def describe(self, *_: Any) -> dict[str, Any]:
            calls.append(error)
            if len(calls) == 1:
                raise AgentError(error[0], "failed", lost=error[1])
            return {"node": "a", "role": "pod"}

    (answer,) = await _described([cast("AgentClient", Client())], [Located("")], 10)
    assert len(calls) == asked
    assert isinstance(answer, dict) == (asked == 2)


def test_an_agent_that_is_gone_is_asked_less_and_less_often_and_never_in_step() -> None:
    first, most = PAUSE_SECONDS
    series = [list(islice(pauses_seconds(), 10)) for _ in range(50)]
    assert all(0.5 * first <= pauses[0] <= 1.5 * first for pauses in series)
    assert all(0.5 * most <= pauses[-1] <= 1.5 * most for pauses in series)
    assert len({pauses[0] for pauses in series}) == len(series)
