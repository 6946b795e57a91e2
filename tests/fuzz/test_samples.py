"""Host samples with anything in them, as a broken agent might send them: refused, or figures that are numbers."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from tests.support.fuzzing import fuzzed

from netmesh.v1 import agent_pb2
from netmesh_common.hostfigures import FIGURES, MODES
from netmesh_controller.clients.heard import HeardError, check_samples
from netmesh_controller.clients.samples import Received
from netmesh_controller.mesh.hostsamples import Samples
from netmesh_controller.mesh.hostwindow import host_cost, idle_baseline, window
from netmesh_controller.mesh.standstill import stood_still

ODD = st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, -1.0, 0.0, 5e-324])
COUNTERS = [name for name in agent_pb2.DeviceColumns.DESCRIPTOR.fields_by_name if name != "name"]


@st.composite
def messages(draw: st.DrawFn) -> agent_pb2.HostSamples:
    """Samples of a host that is half busy, in which some columns are odd, cut, or not there."""
    count, cores = draw(st.integers(3, 8)), draw(st.integers(1, 3))
    begun = draw(st.sampled_from([50, 51, 58]))
    moments = [(begun + place) * 10**9 for place in range(count)]
    columns: dict[str, Any] = {
        "monotonic_nanoseconds": moments,
        "idle_seconds": [cores * moment / 2e9 for moment in moments],
        "core_idle_seconds": [begun / 2] * cores,
        "core_idle_ticks": [50 * place for place in range(1, count) for _ in range(cores)],
        "mode_seconds": [float(place) for place in range(count) for _ in MODES],
        **{name: [float(place) for place in range(count)] for name in FIGURES},
    }
    for name in draw(st.sets(st.sampled_from(sorted(columns)), max_size=3)):
        column = columns[name]
        whole = name in ("monotonic_nanoseconds", "core_idle_ticks")
        match draw(st.sampled_from(["none", "cut", "longer", "odd", "odd", "odd"])):
            case "none":
                columns[name] = []
            case "cut":
                columns[name] = column[:-1]
            case "longer":
                columns[name] = [*column, *column[:1]]
            case _ if column:
                odd = st.integers(0, 2**31 - 1) if whole else ODD
                for _ in range(draw(st.integers(1, 3))):
                    column[draw(st.integers(0, len(column) - 1))] = draw(odd)
    message = agent_pb2.HostSamples(**columns)
    if draw(st.booleans()):
        message.memory_total_bytes = draw(st.integers(0, 2**64 - 1))
    if draw(st.booleans()):
        message.device.name = "eth0"
        for name in COUNTERS[: draw(st.sampled_from([len(COUNTERS), len(COUNTERS), 3]))]:
            getattr(message.device, name).extend(draw(st.integers(0, 2**64 - 1)) for _ in range(count))
    return message


@given(
    st.lists(messages(), min_size=1, max_size=2),
    st.floats(48, 56),
    st.floats(1, 5),
    st.one_of(st.none(), st.floats(0, 1e12)),
)
@fuzzed(200)
def test_fuzzed_host_samples_are_refused_or_tell_numbers(
    sent: list[agent_pb2.HostSamples], start: float, length: float, rate: float | None
) -> None:
    try:
        for message in sent:
            check_samples(message)
    except HeardError:
        event("refused")
        return
    samples = Samples(Received(message, 1000.0) for message in sent)
    assert (samples.moments[1:] > samples.moments[:-1]).all()
    assert math.isfinite(samples.clock_offset())
    stood_still(samples, start, start + length)
    baseline = idle_baseline(samples)
    assert baseline is None or all(map(math.isfinite, baseline))
    found = window(samples, start, start + length)
    if found is None:
        event("no window")
        return
    # A figure that is no number cannot be in it: its model refuses that, and with it the whole sweep would end.
    idle, error = baseline or (None, 0.0)
    host = host_cost(found, idle_busy_cores=idle, idle_error_cores=error, bits_per_second=rate, shared=False)
    event("cpu" if host.cpu_cores is not None else "no cpu")
    if host.cpu_cores is not None:
        assert 0 <= host.cpu_cores.busy <= found[0].cores
        assert 0 <= host.cpu_cores.busiest_core <= 1
