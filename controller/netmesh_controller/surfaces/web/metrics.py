"""`/metrics` in the formats of Prometheus: the controller's own health; others register what they know beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netmesh_common.tasks import under_way
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.surfaces.web.operations import Answer, Operation
from netmesh_controller.surfaces.web.services import Leading, services


class HttpMetrics:
    """Requests by route, so that their number is bounded whatever is asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route")
        self._requests = Counter(
            "netmesh_http_requests", "HTTP requests that were answered.", (*labels, "status"), registry=registry
        )
        self._seconds = Histogram(
            "netmesh_http_request_duration_seconds",
            "How long HTTP requests took, streams until their end.",
            labels,
            buckets=(0.005, 0.05, 0.5, 5, 60),
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request that was answered."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)


class ControllerMetrics(Collector):
    """The controller's state at the moment of the scrape."""

    def __init__(self, sweeps: Sweeps, leading: Callable[[], Leading]) -> None:
        self._sweeps = sweeps
        self._leading = leading

    def collect(self) -> Iterator[Metric]:
        """Read anew at each scrape."""
        yield InfoMetricFamily("netmesh_controller", "The controller's version.", {"version": version("netmesh")})
        leading = self._leading()
        yield GaugeMetricFamily(
            "netmesh_controller_leading", "1 where this controller leads, 0 where it stands by.", int(leading.leading)
        )
        yield GaugeMetricFamily("netmesh_controller_tasks", "Tasks of its event loop that have not ended.", under_way())
        yield GaugeMetricFamily("netmesh_controller_term", "Term of the controller that leads.", leading.term)
        current = self._sweeps.current
        yield GaugeMetricFamily("netmesh_sweep_running", "1 while a sweep is under way.", int(current is not None))
        progress = None if current is None else current.progress()
        if progress is not None:
            cells = GaugeMetricFamily("netmesh_sweep_cells", "Cells of the sweep under way.", labels=("state",))
            cells.add_metric(["planned"], progress.total)
            cells.add_metric(["ended"], progress.done)
            cells.add_metric(["gap"], progress.failed)
            yield cells


def new_registry() -> CollectorRegistry:
    """A registry with the process's own figures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


async def metrics(request: web.Request) -> web.StreamResponse:
    """All that is registered, in the format that the scraper prefers."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    response = web.Response(body=encode(services(request).registry), headers={"Content-Type": content_type})
    response.enable_compression()
    return response


OPERATIONS = (
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "Metrics for Prometheus",
        metrics,
        (Answer(200, "The metrics.", {"text/plain": None, "application/openmetrics-text": None}),),
        tag="controller",
    ),
)
