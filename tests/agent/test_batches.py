"""Samples that travel together: none is lost, none comes twice, and the first goes at once."""

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import isnan

from netmesh.v1 import agent_pb2
from netmesh_agent.batches import MOST_SECONDS, Batch
from netmesh_agent.errors import Refused
from netmesh_common.hostfigures import FIGURES, MODES
from netmesh_controller.clients.heard import check_samples
from netmesh_controller.clients.samples import Received, sample_from
from netmesh_controller.mesh.hostsamples import Samples


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
        assert list(messages[0].monotonic_nanoseconds) == taken[:1]
    sent = [message.monotonic_nanoseconds[-1] for message in messages]
    assert all(after - before >= round(seconds * 1e9) for before, after in pairwise(sent))
    if (rest := batch.rest()) is not None:
        messages.append(rest)
    assert batch.rest() is None
    assert [one for each in messages for one in each.monotonic_nanoseconds] == taken


@pytest.mark.parametrize("seconds", [-1.0, 10.1, float("nan"), float("inf")])
def test_a_batch_is_bounded(seconds: float) -> None:
    with pytest.raises(Refused, match="batch_seconds is between 0 and 10"):
        Batch(seconds)


Counters = st.lists(st.integers(0, 10**9), min_size=16, max_size=16)
NAMES = [field.name for field in agent_pb2.Cpu.DESCRIPTOR.fields]
DEVICE = [field.name for field in agent_pb2.DeviceCounters.DESCRIPTOR.fields if field.name != "name"]


def sample_of(moment: int, counters: list[int], **more: Any) -> agent_pb2.HostSample:
    cores = [dict(zip(NAMES, [count / 100 for count in counters[at : at + 8]], strict=True)) for at in (0, 8)]
    return agent_pb2.HostSample(
        monotonic_nanoseconds=moment * 10**9, cpus=[agent_pb2.Cpu(**core) for core in cores], **more
    )


def received(*messages: agent_pb2.HostSamples | None) -> Samples:
    """As the controller reads them."""
    arrived = [agent_pb2.HostSamples.FromString(one.SerializeToString()) for one in messages if one is not None]
    for message in arrived:
        check_samples(message)
    return Samples(Received(message, 0.0) for message in arrived)


@given(st.lists(st.tuples(Counters, st.booleans()), min_size=1, max_size=5), st.sampled_from((0.0, 5.0)))
def test_what_was_taken_is_what_is_read(taken: list[tuple[list[int], bool]], seconds: float) -> None:
    """In one message or in one each; what was unknown at a moment is so, and counters may step back."""
    batch, samples = Batch(seconds), []
    for moment, (counters, known) in enumerate(taken, 1):
        some = {name: 3 * moment + place for place, name in enumerate(FIGURES)} if known else {}
        samples.append(sample_of(moment, counters, memory_total_bytes=7, pressure_is_hosts=True, **some))
        samples[-1].device.CopyFrom(
            agent_pb2.DeviceCounters(name="eth0", **{name: 2**63 + place for place, name in enumerate(DEVICE, moment)})
        )
    got = received(*map(batch.add, samples), batch.rest())
    assert len(got) == len(samples)
    forward = True
    for place, one in enumerate(samples):
        found = got[place]
        wanted = sample_from(one)
        if place and any(
            getattr(after, mode) < getattr(before, mode) - 0.1
            for before, after in zip(samples[place - 1].cpus, one.cpus, strict=True)
            for mode in MODES
        ):
            forward = False
        # Of a message, all of its modes.
        assert found.modes in ((), pytest.approx(wanted.modes, abs=1e-6))
        assert forward or not found.modes
        assert found.core_idle == pytest.approx(wanted.core_idle, abs=1e-6)
        assert got.idle[place] == pytest.approx(sum(wanted.core_idle), abs=1e-6)
        same = ("core_idle", "modes", "arrived_seconds")
        assert dataclasses.replace(found, **{name: getattr(wanted, name) for name in same}) == wanted
        for name in FIGURES:
            known_value = getattr(wanted, name)
            assert got.column(name)[place] == known_value or (known_value is None and isnan(got.column(name)[place]))


def test_growing_counters_keep_their_modes() -> None:
    batch = Batch(5)
    samples = [sample_of(moment, [moment * (place + 1) for place in range(16)]) for moment in range(1, 6)]
    got = received(*map(batch.add, samples), batch.rest())
    assert [one.modes for one in map(got.__getitem__, range(5))] == [
        pytest.approx(sample_from(one).modes, abs=1e-6) for one in samples
    ]


def test_a_core_that_comes_or_goes_leaves_no_cpu_figures() -> None:
    batch = Batch(5)
    batch.add(sample_of(1, [0] * 16))
    batch.add(sample_of(2, [0] * 16))
    fewer = sample_of(3, [0] * 16)
    del fewer.cpus[1:]
    batch.add(fewer)
    got = received(batch.rest())
    assert [got[place].cores for place in range(2)] == [0, 0]
    assert isnan(got.idle).all()


def test_a_device_that_was_not_there_all_the_time_is_not_told() -> None:
    batch = Batch(5)
    batch.add(sample_of(1, [0] * 16))
    batch.add(sample_of(2, [0] * 16, device=agent_pb2.DeviceCounters(name="eth0", sent_bytes=1)))
    assert received(batch.rest())[0].device != {}
    batch.add(sample_of(3, [0] * 16, device=agent_pb2.DeviceCounters(name="eth0", sent_bytes=1)))
    batch.add(sample_of(4, [0] * 16))
    assert received(batch.rest())[0].device == {}
