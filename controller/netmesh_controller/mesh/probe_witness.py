"""The witness of a window of the continuous probe: whether the agent that probed was healthy in it. Pure.

The probe's network times are the kernels', so that no window is starved: what the agent suffered is in the host's share
of each round trip, and the window is marked.
"""

from __future__ import annotations

from netmesh_controller.mesh.document import Witness
from netmesh_controller.mesh.hostsamples import Sample, Samples
from netmesh_controller.mesh.hostwindow import host_cost
from netmesh_controller.mesh.witness import THRESHOLDS, process_figures

# The probe's tick: one that is later than this has missed the next.
LATE_SECONDS = 0.05


def probe_witness(first: Sample, last: Sample, *, latest_seconds: float, tested: bool) -> Witness | None:
    """The witness of an agent's window between two samples of its host; None where these are of no window.

    `latest_seconds` is what the latest of its ticks was late by; `tested`: a test ran at the node meanwhile, so that
    what the device carried was netmesh's own. `figures` are parts of the window, `loop_late` in seconds.
    """
    if last.monotonic_seconds <= first.monotonic_seconds:
        return None
    host = host_cost(Samples.of((first, last)), idle_busy_cores=None, bits_per_second=None, shared=False)
    seconds = last.monotonic_seconds - first.monotonic_seconds
    found = dict(process_figures(host, seconds, host.agent_wait_seconds, 1.0))
    counters = [host.device.get(name) for name in ("sent_bytes", "received_bytes")]
    traffic = max((grown / seconds for grown in counters if isinstance(grown, int)), default=None)
    if traffic is not None:
        found["own_traffic" if tested else "other_traffic"] = traffic
    shown = {sign: figure for sign, figure in found.items() if figure >= THRESHOLDS[sign].mark}
    shown.pop("loop_late", None)
    if latest_seconds >= LATE_SECONDS:
        shown["loop_late"] = latest_seconds
    signs = [sign for sign in THRESHOLDS if sign in shown]
    return Witness(
        verdict="marked" if signs else "healthy",
        signs=signs,
        figures={f"source.{sign}": shown[sign] for sign in signs},
    )
