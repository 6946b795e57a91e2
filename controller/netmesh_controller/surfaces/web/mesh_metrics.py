"""Metrics of the mesh, as many as docs/monitoring.md states: nodes, pairs of zones, the worst pairs, gaps, health."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netmesh_controller.engines.monitoring.keeping import Keeping
from netmesh_controller.mesh.probing.live import CODES, STATISTICS, Standing, reasons_of, table
from netmesh_controller.mesh.probing.totals import BOUNDS_SECONDS, Totals

WORST_PAIRS = 20
_WINDOW = 60


class MeshMetrics(Collector):
    """Read anew at each scrape. `per_pair`: the figures of every pair of the last minute, beside the worst."""

    def __init__(self, keeping: Keeping, *, per_pair: bool = False) -> None:
        self._keeping = keeping
        self._per_pair = per_pair

    def collect(self) -> Iterator[Metric]:
        """Nothing of the mesh while another controller leads: its figures are that one's."""
        yield from self._health()
        if not self._keeping.monitor.watching or not self._keeping.monitor.standing.nodes:
            return
        yield from _histograms(self._keeping.totals)
        yield from self._nodes()
        yield from self._pairs()

    def _health(self) -> Iterator[Metric]:
        monitor, recorder = self._keeping.monitor, self._keeping.recorder
        counts = monitor.intake.counts
        yield GaugeMetricFamily(
            "netmesh_monitoring", "1 where this controller watches the mesh, else 0.", int(monitor.watching)
        )
        reports = CounterMetricFamily(
            "netmesh_probe_reports", "Reports of agents, by what became of them.", labels=("outcome",)
        )
        for outcome, count in (("taken", counts.taken), ("late", counts.late), *sorted(counts.refused.items())):
            reports.add_metric([outcome], count)
        yield reports
        yield CounterMetricFamily(
            "netmesh_probe_reports_forgotten", "Reports that agents had given up for lack of room.", counts.forgotten
        )
        yield CounterMetricFamily(
            "netmesh_agent_restarts", "Agents that were seen to be another process.", monitor.restarts
        )
        yield GaugeMetricFamily(
            "netmesh_history_waiting", "Batches that the store has not taken yet.", recorder.waiting
        )
        yield CounterMetricFamily(
            "netmesh_history_dropped", "Minutes or parts of one that came too late for the history.", recorder.dropped
        )
        yield GaugeMetricFamily(
            "netmesh_mesh_cover_seconds", "Within which time every ordered pair is probed.", monitor.cover_seconds
        )

    def _nodes(self) -> Iterator[Metric]:
        standing = self._keeping.monitor.standing
        up = GaugeMetricFamily(
            "netmesh_node_up", "1 where the node's agent tells of its probes.", labels=("node", "zone")
        )
        own = GaugeMetricFamily(
            "netmesh_node_own_traffic", "1 where own tests ran in the last window.", labels=("node",)
        )
        signs = GaugeMetricFamily(
            "netmesh_node_witness_signs", "Signs in the last window that the agent was not healthy.", labels=("node",)
        )
        for name, zone in zip(standing.nodes, standing.zones, strict=True):
            up.add_metric([name, zone or ""], int(name not in standing.missing))
            own.add_metric([name], int(name in standing.own))
            signs.add_metric([name], len(standing.marked.get(name, ())))
        yield from (up, own, signs)
        events = GaugeMetricFamily("netmesh_events_open", "Events of the mesh that are open.", labels=("kind",))
        kinds = [event.finding.kind for event in self._keeping.open]
        for kind in KINDS:
            events.add_metric([kind], kinds.count(kind))
        yield events

    def _pairs(self) -> Iterator[Metric]:
        monitor = self._keeping.monitor
        standing, window = monitor.standing, monitor.intake.rolling.window(_WINDOW)
        if window is None or len(window.sent) != len(standing.nodes):
            return
        reasons = reasons_of(monitor.standing_over(_WINDOW), window)
        cells = GaugeMetricFamily(
            "netmesh_pairs", "Ordered pairs of nodes with a figure of the last minute.", labels=("state",)
        )
        cells.add_metric(["known"], int(np.count_nonzero(reasons == 0)))
        yield cells
        gaps = GaugeMetricFamily("netmesh_pair_gaps", "Ordered pairs without a figure, by reason.", labels=("reason",))
        for code, reason in enumerate(CODES):
            if reason not in ("", "not_applicable"):
                gaps.add_metric([reason], int(np.count_nonzero(reasons == code)))
        yield gaps
        loss, delay = table(standing, window, "loss").values, table(standing, window, "p50").values
        yield _worst("netmesh_worst_pair_loss_ratio", "Lost probes of the pairs that lose most.", standing, loss)
        yield _worst(
            "netmesh_worst_pair_round_trip_seconds", "Median network round trip of the slowest pairs.", standing, delay
        )
        if self._per_pair:
            for statistic in STATISTICS:
                if statistic in ("min", "p50", "max", "loss"):
                    yield _every(statistic, standing, table(standing, window, statistic).values)


# Of events; docs/findings.md tells what each means.
KINDS = (
    *("slow_node", "slow_pair", "slow_zone_pair"),
    *("lossy_node", "lossy_pair", "lossy_zone_pair", "lossy_mesh"),
    "agent_lost",
)


def _worst(name: str, what: str, standing: Standing, values: NDArray[np.float64]) -> Metric:
    """The largest figures above 0."""
    metric = GaugeMetricFamily(name, what, labels=("source", "target"))
    flat = np.nan_to_num(values, nan=-1.0).ravel()
    count = min(WORST_PAIRS, flat.size)
    for place in np.argpartition(-flat, count - 1)[:count] if count else ():
        if flat[place] > 0:
            source, target = divmod(int(place), len(standing.nodes))
            metric.add_metric([standing.nodes[source], standing.nodes[target]], float(flat[place]))
    return metric


def _every(statistic: str, standing: Standing, values: NDArray[np.float64]) -> Metric:
    name = "netmesh_pair_loss_ratio" if statistic == "loss" else f"netmesh_pair_round_trip_{statistic}_seconds"
    metric = GaugeMetricFamily(
        name, f"Of every ordered pair in the last minute: {statistic}.", labels=("source", "target")
    )
    for source, target in np.argwhere(np.isfinite(values)).tolist():
        metric.add_metric([standing.nodes[source], standing.nodes[target]], float(values[source, target]))
    return metric


def _histograms(totals: Totals) -> Iterator[Metric]:
    bounds = [*(repr(bound) for bound in BOUNDS_SECONDS), "+Inf"]
    families = (
        ("node", ("node",), totals.by_node()),
        ("zone_pair", ("source_zone", "target_zone"), totals.by_zones()),
    )
    for name, labels, rows in families:
        times = HistogramMetricFamily(
            f"netmesh_{name}_round_trip_seconds", "Network round trips of the continuous probe.", labels=labels
        )
        sent = CounterMetricFamily(f"netmesh_{name}_probes", "Probes whose fate is known.", labels=labels)
        lost = CounterMetricFamily(
            f"netmesh_{name}_probes_lost", "Probes that were not answered in time.", labels=labels
        )
        for key, row in rows:
            times.add_metric(key, list(zip(bounds, np.cumsum(row.counts).tolist(), strict=True)), row.seconds)
            sent.add_metric(key, row.sent)
            lost.add_metric(key, row.lost)
        yield from (times, sent, lost)
