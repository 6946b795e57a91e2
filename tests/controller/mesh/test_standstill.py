"""A ping-pong that stopped before its end is told from one that went on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.hostsamples import Sample, Samples
from netmesh_controller.mesh.standstill import stood_still


def samples(until: float, *, packets: float = 20_000, cpu: float = 0.5, others: float = 0, first: int = 51) -> Samples:
    """Ten a second over 5 s; the ping-pong sends and works until then, others send all the time."""
    made = []
    for number in range(first):
        at = number / 10
        active = min(at, until)
        sent = int(packets * active + others * at)
        made.append(
            Sample(at, at, device={"name": "eth0", "sent_packets": sent}, tool_cpu_seconds=round(cpu * active, 2))
        )
    return Samples.of(made)


@pytest.mark.parametrize("until", [0.3, 2.0, 4.0, 4.4])
def test_a_stop_before_the_end_is_seen(until: float) -> None:
    assert stood_still(samples(until), 0, 5)


def test_a_stop_is_seen_beside_other_traffic_by_the_tools_own_cpu() -> None:
    assert stood_still(samples(3, packets=100, others=50_000), 0, 5)


@given(st.floats(1, 50_000), st.floats(0, 1), st.floats(0, 50_000))
def test_one_that_goes_on_is_never_said_to_stand(packets: float, cpu: float, others: float) -> None:
    assert not stood_still(samples(5, packets=packets, cpu=cpu, others=others), 0, 5)


def test_without_samples_nothing_is_said() -> None:
    assert not stood_still(Samples(), 0, 5)
    assert not stood_still(samples(2, first=10), 0, 5)


def test_long_round_trips_send_too_few_packets_to_tell() -> None:
    assert not stood_still(samples(3, packets=10, cpu=0), 0, 5)
