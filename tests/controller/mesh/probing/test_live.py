"""The mesh as it stands."""

from netmesh_controller.mesh.probing.live import signs_beside


def test_traffic_of_netmesh_s_own_tests_is_no_sign() -> None:
    told = {"a": ("other_traffic",), "b": ("throttled", "other_traffic"), "c": ("other_traffic",)}
    assert signs_beside(told, frozenset({"a", "b"})) == {"b": ("throttled",), "c": ("other_traffic",)}
    assert signs_beside(told, frozenset()) == told
