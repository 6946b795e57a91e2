"""Samples that travel together: none is lost, none comes twice, and the first goes at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh.v1 import agent_pb2
from netmesh_agent.batches import MOST_SECONDS, Batch
from netmesh_agent.errors import Refused


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


@pytest.mark.parametrize("seconds", [-1.0, 5.1, float("nan"), float("inf")])
def test_a_batch_is_bounded(seconds: float) -> None:
    with pytest.raises(Refused, match="batch_seconds is between 0 and 5"):
        Batch(seconds)
