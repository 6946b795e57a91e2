"""Metrics of bandwidth tests in the background: thirteen series, and one for each of the slowest pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netmesh_controller.engines.background.engine import Background
from netmesh_controller.mesh.background.figures import Snapshot

WORST_PAIRS = 20
OUTCOMES = ("measured", "failed", "discarded", "skipped")


class BackgroundMetrics(Collector):
    """Read anew at each scrape. `per_pair`: the last figure of every pair, beside those of the slowest."""

    def __init__(self, background: Background, *, per_pair: bool = False) -> None:
        self._background = background
        self._per_pair = per_pair

    def collect(self) -> Iterator[Metric]:
        """What was spent and tested since the start; of the mesh nothing while another controller leads."""
        background = self._background
        yield CounterMetricFamily(
            "netmesh_background_bytes", "Bytes that bandwidth tests in the background sent.", background.spent
        )
        tests = CounterMetricFamily(
            "netmesh_background_tests", "Bandwidth tests in the background, by outcome.", labels=("outcome",)
        )
        for outcome in OUTCOMES:
            tests.add_metric([outcome], background.outcomes[outcome])
        yield tests
        yield CounterMetricFamily(
            "netmesh_background_tests_put_off", "Turns of pairs of which a node was not calm.", background.skipped
        )
        yield GaugeMetricFamily(
            "netmesh_background_day_bytes",
            "Bytes that such tests have taken of this UTC day's.",
            background.spent_today,
        )
        yield GaugeMetricFamily(
            "netmesh_background_day_limit_bytes", "Bytes that they may take in a day.", background.allowance.day_bytes
        )
        last = background.last()
        if last is None:
            return
        remote = ~np.eye(len(last.names), dtype=bool)
        tried = last.tried & remote
        measured = tried & np.isfinite(last.values)
        pairs = GaugeMetricFamily(
            "netmesh_background_pairs", "Ordered pairs by what their last test left.", labels=("state",)
        )
        pairs.add_metric(["measured"], int(np.count_nonzero(measured)))
        pairs.add_metric(["gap"], int(np.count_nonzero(tried & ~measured)))
        pairs.add_metric(["untested"], int(np.count_nonzero(remote & ~tried)))
        yield pairs
        if tried.any():
            yield GaugeMetricFamily(
                "netmesh_background_stalest_age_seconds",
                "Age of the stalest result of a pair that was tested.",
                max(0.0, time.time() - float(last.at[tried].min())),
            )
        places = np.flatnonzero(measured)
        if not places.size:
            return
        figures = last.values.ravel()[places]
        yield GaugeMetricFamily(
            "netmesh_background_median_bytes_per_second",
            "Median of the last TCP bandwidth of the pairs that have one.",
            float(np.median(figures)) / 8,
        )
        slowest = places[np.argsort(figures, kind="stable")[:WORST_PAIRS]]
        yield _pairs(
            "netmesh_worst_pair_bandwidth_bytes_per_second", "TCP bandwidth of the slowest pairs", last, slowest
        )
        if self._per_pair:
            yield _pairs("netmesh_pair_bandwidth_bytes_per_second", "TCP bandwidth of every pair", last, places)


def _pairs(name: str, what: str, last: Snapshot, places: NDArray[np.intp]) -> Metric:
    # In bytes, as is the use there.
    metric = GaugeMetricFamily(name, f"{what} at its last test in the background.", labels=("source", "target"))
    for place in places.tolist():
        source, target = divmod(place, len(last.names))
        metric.add_metric([last.names[source], last.names[target]], float(last.values[source, target]) / 8)
    return metric
