"""What an agent tells Prometheus: what it is, what it ran, how its continuous probe goes. No label of a peer."""

from __future__ import annotations

import importlib.metadata
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netmesh.v1 import agent_pb2
from netmesh_agent.admission import Admission
from netmesh_agent.checks import Answer, Check
from netmesh_agent.settings import Settings
from netmesh_agent.tools.base import Failure, Reading, Spec
from netmesh_common.tasks import under_way

# Upper bounds, in seconds: from within a host to another continent.
ROUND_TRIP_BUCKETS = (
    *(25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    1.0,
)
CHECK_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Metrics:
    """The agent's metrics, in a registry of their own; `process_*` are those of the agent's own process."""

    def __init__(self, settings: Settings, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge(
            "netmesh_agent_info", "What this agent is; always 1.", ("node", "role", "version"), registry=self._registry
        )
        info.labels(settings.node, settings.role, importlib.metadata.version("netmesh")).set(1)
        self._ready = Gauge(
            "netmesh_agent_ready", "1 where the agent has its certificates and serves, else 0.", registry=self._registry
        )
        groups = Gauge(
            "netmesh_agent_groups", "Groups of tests that hold a place here, at most 2.", registry=self._registry
        )
        groups.set_function(lambda: len(admission))
        tasks = Gauge("netmesh_agent_tasks", "Tasks of its event loop that have not ended.", registry=self._registry)
        tasks.set_function(under_way)
        self._tests = Counter(
            "netmesh_agent_tests",
            "Client sides that ended here; outcome is measured or a reason code.",
            ("test", "instrument", "outcome"),
            registry=self._registry,
        )
        self.probes = ProbeMetrics()
        self._registry.register(self.probes)
        self.checks = CheckMetrics(self._registry)

    def watch_host(self, sample: Callable[[], agent_pb2.HostSample]) -> None:
        """Tells from now on, at each scrape, what may hold the agent up."""
        self._registry.register(_Host(sample))

    def watch_reflector(self, counts: Callable[[], dict[str, int]]) -> None:
        """Tells from now on what the STAMP reflector counted."""
        self._registry.register(_Reflector(counts))

    def ready(self) -> None:
        """The agent serves from now on."""
        self._ready.set(1)

    def finished(self, spec: Spec, result: Reading | Failure) -> None:
        """Counts a client side that ended."""
        outcome = result.code if isinstance(result, Failure) else "measured"
        self._tests.labels(spec.test, spec.instrument, outcome).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class CheckMetrics:
    """Checks beside the probe: at most 32 names (`checks.MOST_CHECKS`), and nothing where none is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = Counter("netmesh_agent_check", "Questions of a check that ended.", ("check",), registry=registry)
        self._failed = Counter(
            "netmesh_agent_check_failed",
            "Questions of a check that were not answered; code is a reason code.",
            ("check", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "netmesh_agent_check_seconds",
            "How long the answers of a check took, by the agent's own clock.",
            ("check",),
            buckets=CHECK_BUCKETS,
            registry=registry,
        )

    def answered(self, check: Check, answer: Answer) -> None:
        """A question ended."""
        self._asked.labels(check.name).inc()
        if answer.seconds is None:
            self._failed.labels(check.name, answer.code).inc()
        else:
            self._seconds.labels(check.name).observe(answer.seconds)


# Counters of the continuous probe: name, the report's column, help.
_COUNTERS = (
    ("probes_sent", "sent", "Probes whose fate became known: answered or lost."),
    ("probes_lost", "lost", "Probes that were not answered in time."),
    ("probes_late", "late", "Answers that came after their probe was counted as lost."),
    ("probes_skipped", "skipped", "Probes that were not sent in their time, for the agent did not run."),
)


class ProbeMetrics(Collector):
    """The continuous probe over all peers, window by window; which of them it is that loses, the controller tells."""

    def __init__(self) -> None:
        self._peers = 0
        self._counts = Tally[str]()
        self._tick_delay: float | None = None
        self._bins = Tally[int]()
        self._sum = 0.0

    def window(self, report: agent_pb2.ProbeReport | None, peers: int) -> None:
        """A window of the probe of so many peers ended; None: nobody is probed any more."""
        self._peers = peers
        if report is None:
            self._tick_delay = None
            return
        for name, column, _ in _COUNTERS:
            self._counts[name] += sum(getattr(report, column))
        self._counts["socket_drops"] += report.socket_drops
        self._counts["forgotten"] = report.forgotten
        self._tick_delay = report.latest_seconds
        for nanoseconds in report.network_nanoseconds:
            seconds = nanoseconds * 1e-9
            self._bins[bisect_left(ROUND_TRIP_BUCKETS, seconds)] += 1
            self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        """All of it; round trips are what the network took, between the kernels' stamps of both ends."""
        yield GaugeMetricFamily(
            "netmesh_agent_probe_peers", "Peers that are probed all the time; 0 where nobody asked.", self._peers
        )
        for name, _, text in _COUNTERS:
            yield CounterMetricFamily(f"netmesh_agent_{name}", text, self._counts[name])
        yield CounterMetricFamily(
            "netmesh_agent_probe_socket_drops",
            "Answers to probes that this host's sockets had no room for.",
            self._counts["socket_drops"],
        )
        yield CounterMetricFamily(
            "netmesh_agent_probe_windows_forgotten",
            "Windows given up for lack of room before the controller asked for them.",
            self._counts["forgotten"],
        )
        if self._tick_delay is not None:
            yield GaugeMetricFamily(
                "netmesh_agent_probe_tick_delay_seconds",
                "What the latest tick of the last window was late by; above 0.05 the agent was held up.",
                self._tick_delay,
            )
        buckets, total = [], 0
        for place, bound in enumerate((*map(str, ROUND_TRIP_BUCKETS), "+Inf")):
            total += self._bins[place]
            buckets.append((bound, total))
        yield HistogramMetricFamily(
            "netmesh_agent_probe_network_round_trip_seconds",
            "Round trips of probes to all peers, without the time in both hosts.",
            buckets=buckets,
            sum_value=self._sum,
        )


class _Host(Collector):
    """Counters of what may hold an agent up; one that this kernel does not have is not told."""

    def __init__(self, sample: Callable[[], agent_pb2.HostSample]) -> None:
        self._sample = sample

    def collect(self) -> Iterator[Metric]:
        host = self._sample()
        for field, name, text in (
            ("throttled_seconds", "throttled", "Time in which the agent's control group was throttled."),
            ("agent_wait_seconds", "run_queue_wait", "Time that the agent's event loop waited for a core."),
        ):
            if host.HasField(field):  # type: ignore[arg-type]  # one of the message's optional fields
                yield CounterMetricFamily(f"netmesh_agent_{name}_seconds", text, value=getattr(host, field))
        if host.HasField("pressure_seconds"):
            pressure = CounterMetricFamily(
                "netmesh_agent_cpu_pressure_seconds",
                "Time in which some task waited for a core: of the agent's control group, or of the whole host.",
                labels=("of",),
            )
            pressure.add_metric(["host" if host.pressure_is_hosts else "agent"], host.pressure_seconds)
            yield pressure
        steal = sum(cpu.steal for cpu in host.cpus)
        yield CounterMetricFamily("netmesh_agent_host_steal_seconds", "CPU time taken by the hypervisor.", value=steal)
        if host.HasField("device"):
            yield from _device(host.device)


def _device(device: agent_pb2.DeviceCounters) -> Iterator[Metric]:
    for what, text in (
        ("bytes", "Bytes of the device that tests and probes use."),
        ("packets", "Packets of the device that tests and probes use."),
        ("errors", "Errors of the device that tests and probes use."),
        ("drops", "Packets that the device that tests and probes use has dropped."),
    ):
        family = CounterMetricFamily(f"netmesh_agent_device_{what}", text, labels=("device", "direction"))
        for direction in ("received", "sent"):
            family.add_metric([device.name, direction], getattr(device, f"{direction}_{what}"))
        yield family


class _Reflector(Collector):
    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        family = CounterMetricFamily(
            "netmesh_agent_reflector_packets",
            "Packets to the STAMP reflector: answered, refused (no session of theirs), dropped (no room), or unsent.",
            labels=("fate",),
        )
        for fate in ("reflected", "refused", "unsent", "socket_drops"):
            family.add_metric([fate], counts[fate])
        yield family
        yield CounterMetricFamily(
            "netmesh_agent_reflector_unstamped_packets",
            "Answered packets whose arrival the kernel did not stamp.",
            counts["without_stamp"],
        )
