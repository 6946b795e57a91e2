"""What an agent tells Prometheus: what it is, whether it is ready, what it ran. Base units, no label of a peer."""

from __future__ import annotations

import importlib.metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from netmesh_agent.admission import Admission
from netmesh_agent.settings import Settings
from netmesh_agent.tools.base import Failure, Reading, Spec


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
        self._tests = Counter(
            "netmesh_agent_tests",
            "Client sides that ended here; outcome is measured or a reason code.",
            ("test", "instrument", "outcome"),
            registry=self._registry,
        )

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
