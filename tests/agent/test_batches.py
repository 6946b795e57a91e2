"""Samples that travel together: none is lost, none comes twice, and the first goes at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh.v1 import agent_pb2
from netmesh_agent.batches import MOST_SECONDS, Batch
from netmesh_agent.errors import Refused
from netmesh_controller.clients.samples import samples_from


@given(st.lists(st.integers(1, 10**9), max_size=60), st.floats(0, MOST_SECONDS))
def test_each_sample_travels_once_and_in_order(steps: list[int], seconds: float) -> None:
    batch, now, taken, messages = Batch(seconds), 0, [], []
    for step in steps:
        now += step
        taken.append(now)
        message = batch.add(agent_pb2.HostSample(monotonic_nanoseconds=now))
        if message is not None:
            messages.append(message)
    if taken:
        assert messages[0].monotonic_nanoseconds == taken[0]
        assert not messages[0].earlier
    sent = [message.monotonic_nanoseconds for message in messages]
    assert all(after - before >= round(seconds * 1e9) for before, after in pairwise(sent))
    if (last := batch.last()) is not None:
        messages.append(last)
    assert batch.last() is None
    assert [one.monotonic_nanoseconds for each in messages for one in (*each.earlier, each)] == taken


@pytest.mark.parametrize("seconds", [-1.0, 10.1, float("nan"), float("inf")])
def test_a_batch_is_bounded(seconds: float) -> None:
    with pytest.raises(Refused, match="batch_seconds is between 0 and 10"):
        Batch(seconds)


Counters = st.lists(st.integers(0, 10**9), min_size=16, max_size=16)
NAMES = [field.name for field in agent_pb2.Cpu.DESCRIPTOR.fields]


@given(st.lists(st.tuples(Counters, st.booleans()), min_size=1, max_size=5))
def test_what_a_sample_carries_is_read_as_it_was_taken(taken: list[tuple[list[int], bool]]) -> None:
    """Also counters that step back, and those that are in no ticks."""
    batch = Batch(5)
    assert batch.add(agent_pb2.HostSample(monotonic_nanoseconds=1)) is not None
    wanted = []
    for moment, (counters, uneven) in enumerate(taken, 2):
        seconds = [counter / 100 + (0.0034 * moment if uneven else 0.0) for counter in counters]
        cores = [dict(zip(NAMES, seconds[at : at + 8], strict=True)) for at in (0, 8)]
        wanted.append(cores)
        sample = agent_pb2.HostSample(
            monotonic_nanoseconds=moment, cpus=[agent_pb2.Cpu(**core) for core in cores], memory_total_bytes=moment
        )
        assert batch.add(sample) is None
    message = batch.last()
    assert message is not None
    received = samples_from(agent_pb2.HostSample.FromString(message.SerializeToString()), 0.0)
    assert [got.memory_total_bytes for got in received] == list(range(2, len(taken) + 2))
    for got, cores in zip(received, wanted, strict=True):
        assert got.cores == len(cores)
        assert got.idle_seconds == pytest.approx(sum(core["idle"] + core["iowait"] for core in cores), abs=1e-6)
        for cpu, counters, core in zip(got.cpus, got.counters, cores, strict=True):
            assert {name: getattr(cpu, name) for name in NAMES} == pytest.approx(core, abs=1e-6)
            assert dict(zip(NAMES, counters, strict=True)) == pytest.approx(core, abs=1e-6)
