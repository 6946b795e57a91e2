"""The mesh as it stands."""

import numpy as np

from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.probing.live import Standing, over, signs_beside, table
from netmesh_controller.mesh.probing.scale import encode
from netmesh_controller.mesh.probing.windows import empty


def test_traffic_of_netmesh_s_own_tests_is_no_sign() -> None:
    told = {"a": ("other_traffic",), "b": ("throttled", "other_traffic"), "c": ("other_traffic",)}
    assert signs_beside(told, frozenset({"a", "b"})) == {"b": ("throttled",), "c": ("other_traffic",)}
    assert signs_beside(told, frozenset()) == told


def test_a_minute_has_the_tests_and_signs_of_all_its_parts() -> None:
    parts = [
        Standing(("a", "b"), own=frozenset("a"), marked={"a": ("throttled",)}),
        Standing(("a", "b"), own=frozenset("b"), marked={"a": ("steal", "throttled")}),
        Standing(("a", "b", "c")),
    ]
    whole = over(parts)
    assert whole.nodes == ("a", "b", "c")
    assert whole.own == {"a", "b"}
    assert whole.marked == {"a": ("throttled", "steal")}


def test_an_agent_that_ended_before_it_told_of_its_stamps_is_the_reason() -> None:
    window = empty(3, 0)
    window.sent[:] = 4
    window.sent[2] = 0
    window.middle[0, 1] = encode(np.array([1e-3]))[0]
    standing = Standing(("a", "b", "c"), missing={"c": Reason(code="agent_lost", message="c: gone")})
    shown = table(standing, window, "p50")
    said = [[shown.codes[code] for code in row] for row in shown.reasons]
    assert said[0] == ["not_applicable", "", "agent_lost"]
    assert said[1] == ["tool_output", "not_applicable", "agent_lost"]
    assert said[2] == ["agent_lost", "agent_lost", "not_applicable"]
    counted = table(standing, window, "sent")
    assert counted.values[0, 2] == 4
