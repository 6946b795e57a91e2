"""What happens to a sweep when nodes, the API server or the controller go and come; test_smoke.py kills an agent."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import NAMESPACE, NODES, Netmesh, every_pair, figures, gaps, pairs

from netmesh_controller.mesh.document import RunDocument

pytestmark = pytest.mark.timeout(900)

# About a minute: long enough to do something meanwhile.
SLOW = ("--tests", "tcp-bandwidth", "--duration", "4s", "--omit", "0s")
# The same, half of it through Services, which are not to outlive who made them.
SERVICES = ("--paths", "pod-to-pod,pod-to-service", "--tests", "tcp-bandwidth", "--duration", "2s", "--omit", "0s")
ENDS_SECONDS = 300


class Running:
    """A sweep from outside that has begun to measure."""

    def __init__(self, netmesh: Netmesh, name: str, options: tuple[str, ...] = SLOW) -> None:
        self._netmesh, self.name = netmesh, name
        self.process = netmesh.start("sweep", "--name", name, *options)
        try:
            wait_until("A tool runs", self._measures, 90)
        except Exception as error:
            self.process.kill()
            raise AssertionError(str(self.process.communicate())) from error

    def _measures(self) -> bool:
        return any(left.startswith("process") for left in self._netmesh.left_behind())

    def end(self, *codes: int) -> RunDocument:
        """Waits for its end, which is one of these exit codes; its document."""
        try:
            said, errors = self.process.communicate(timeout=ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(str(self.process.communicate())) from None
        assert self.process.returncode in codes, f"{self.process.returncode}: {said}{errors}"
        return self._netmesh.run(self.name)


@pytest.fixture
def three(netmesh: Netmesh) -> Iterator[Netmesh]:
    """Three nodes that are Ready and take pods, before and after."""
    yield netmesh
    for index in NODES:
        netmesh.cluster.kubectl("uncordon", index)
    netmesh.cluster.wait_ready()
    netmesh.wait_ready()


def _victim(netmesh: Netmesh) -> tuple[int, str]:
    """The number and name of a node that the controller is not on, which would go with it; the last such."""
    taken = set(netmesh.pods("controller"))
    return max((int(name.rpartition("-")[2]), name) for name in NODES if name not in taken)


def _check(document: RunDocument, away: str, reasons: set[str]) -> None:
    """Pairs without that node have values; the others a value or one of these reasons."""
    for cell in document.cells:
        if away not in (cell.source, cell.target):
            assert cell.outcome == "measured", cell
        elif cell.reason:
            assert cell.reason.code in reasons, cell
    assert min(figures(document, "tcp-bandwidth", "bits_per_second")) > 1e6


def test_a_node_that_is_drained_and_removed_is_away_and_not_failed(three: Netmesh) -> None:
    running = Running(three, "removed")
    cluster = three.cluster
    index, victim = _victim(three)
    cluster.kubectl("drain", victim, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
    node = cluster.nodes[index]
    node.kubelet.stop(signal.SIGKILL)
    cluster.kubectl("delete", "node", victim)
    try:
        document = running.end(3)
        _check(document, victim, {"agent_away"})
        raised = {finding.kind for finding in document.findings if victim in str(finding.where)}
        assert not raised & {"slow_node", "slow_pair", "lossy_node", "lossy_pair"}
    finally:
        node.kubelet.start()
    cluster.wait_ready()
    three.wait_ready()
    again = three.sweep("--tests", "tcp-connect", "--duration", "1s")
    assert pairs(again, "pod-to-pod", "tcp-connect") == every_pair(local=True)


def test_a_node_that_is_cordoned_is_measured_and_one_that_joins_is_part_of_the_next_sweep(three: Netmesh) -> None:
    running = Running(three, "joined")
    three.cluster.kubectl("cordon", "node-2")
    three.cluster.add_node(4, three.images)
    three.cluster.wait_ready()
    try:
        document = running.end(0)
        assert {node.name for node in document.nodes} == set(NODES)
        assert pairs(document, "pod-to-pod", "tcp-bandwidth") == every_pair(local=True)
        three.cluster.kubectl("uncordon", "node-2")
        three.wait_ready()
        more = three.sweep("--tests", "tcp-connect", "--duration", "1s")
        assert gaps(more) == []
        assert len(pairs(more, "pod-to-pod", "tcp-connect")) == 16
    finally:
        three.cluster.remove_node(4)


def test_a_node_that_is_cut_off_fails_with_a_reason_and_comes_back(three: Netmesh) -> None:
    running = Running(three, "cut")
    index, victim = _victim(three)
    three.cluster.plug(index, up=False)
    try:
        wait_until(f"{victim} is NotReady", lambda: victim not in three.cluster.ready_nodes(), 90)
    finally:
        three.cluster.plug(index, up=True)
    _check(running.end(0, 3), victim, {"agent_lost", "unreachable", "agent_away", "timeout", "tool_failed"})
    three.cluster.wait_ready()
    three.wait_ready()
    assert gaps(three.sweep("--tests", "tcp-connect", "--duration", "1s")) == []


def test_watches_go_on_after_the_api_server_and_etcd_forgot_them(three: Netmesh) -> None:
    """The API server restarts in the middle of a watch, and etcd compacts what came meanwhile (410 Gone)."""
    running = Running(three, "restarted")
    plane = three.cluster.control_plane
    # An API server that starts refuses everything for a moment, before it has read who may do what.
    three.periods.end()
    plane.apiserver.stop(signal.SIGKILL)
    plane.apiserver.start()
    plane.wait_ready()
    for touch in range(3):
        three.cluster.kubectl("annotate", "node", "node-1", f"netmesh.test/touched={touch}", "--overwrite")
    plane.compact()
    plane.apiserver.restart(signal.SIGKILL)
    plane.wait_ready()
    three.periods.begin()
    document = running.end(0)
    assert pairs(document, "pod-to-pod", "tcp-bandwidth") == every_pair(local=True)
    # It still sees what changes.
    victim = three.pods("agent")["node-1"]["metadata"]["name"]
    three.cluster.kubectl("delete", "pod", victim, "-n", NAMESPACE)
    three.wait_ready()
    assert gaps(three.sweep("--tests", "tcp-connect", "--duration", "1s")) == []


def test_a_controller_whose_container_dies_resumes_its_sweep(three: Netmesh) -> None:
    running = Running(three, "resumed", SERVICES)
    pod = next(iter(three.pods("controller").values()))["metadata"]["name"]
    three.kill_controller(pod)
    document = running.end(0)
    for path in ("pod-to-pod", "pod-to-service"):
        assert pairs(document, path, "tcp-bandwidth") == every_pair(local=True)
    (same,) = three.pods("controller").values()
    assert same["metadata"]["name"] == pod
    assert same["status"]["containerStatuses"][0]["restartCount"] >= 1


def test_a_controller_whose_pod_is_deleted_says_that_the_run_is_gone(three: Netmesh) -> None:
    running = Running(three, "gone", SERVICES)
    pod = next(iter(three.pods("controller").values()))["metadata"]["name"]
    three.cluster.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force")
    said, errors = running.process.communicate(timeout=ENDS_SECONDS)
    assert running.process.returncode == 1, said + errors
    assert "Traceback" not in errors
    three.wait_ready()
    logs = three.cluster.kubectl("logs", "-n", NAMESPACE, "deployment/netmesh-controller")
    assert "as long as" in logs  # results live as long as the pod: said at start
