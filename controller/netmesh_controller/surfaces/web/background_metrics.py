"""Metrics of bandwidth tests in the background: twelve series, however large the mesh."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netmesh_controller.engines.background.engine import Background

OUTCOMES = ("measured", "failed", "discarded", "skipped")


class BackgroundMetrics(Collector):
    """Read anew at each scrape."""

    def __init__(self, background: Background) -> None:
        self._background = background

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
        pairs = GaugeMetricFamily(
            "netmesh_background_pairs", "Ordered pairs by what their last test left.", labels=("state",)
        )
        pairs.add_metric(["measured"], int(np.count_nonzero(tried & np.isfinite(last.values))))
        pairs.add_metric(["gap"], int(np.count_nonzero(tried & np.isnan(last.values))))
        pairs.add_metric(["untested"], int(np.count_nonzero(remote & ~tried)))
        yield pairs
        if tried.any():
            yield GaugeMetricFamily(
                "netmesh_background_stalest_age_seconds",
                "Age of the stalest result of a pair that was tested.",
                max(0.0, time.time() - float(last.at[tried].min())),
            )
