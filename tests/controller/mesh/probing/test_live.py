"""The mesh as it stands."""

from netmesh_controller.mesh.probing.live import Standing, over, signs_beside


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
