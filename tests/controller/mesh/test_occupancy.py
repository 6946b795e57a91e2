"""Which measurements overlapped at one place."""

from netmesh_controller.mesh.occupancy import Occupancy


def test_who_overlapped_where() -> None:
    held = Occupancy()
    held.enter(1, {"node a", "kernel x"}, 0.0)
    held.enter(2, {"node b", "kernel x"}, 1.0)
    assert held.shared(1, {"kernel x"})
    assert not held.shared(1, {"node a"})
    held.leave(1, {"node a", "kernel x"}, 2.0)
    held.enter(3, {"node a", "kernel x"}, 3.0)
    # The first is over, but it ran while the second did; the third did not meet it.
    assert held.shared(2, {"kernel x"})
    assert not held.shared(3, {"node a"})
    held.leave(2, {"node b", "kernel x"}, 4.0)
    assert held.shared(3, {"kernel x"})
    held.leave(3, {"node a", "kernel x"}, 5.0)
    held.enter(4, {"node a", "kernel x"}, 6.0)
    assert not held.shared(4, {"node a", "kernel x"})
