"""netmesh as its user has it in a cluster: applied with kubectl, reached from outside with a kubeconfig."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.kube.cluster import Cluster
from tests.kube.cluster.processes import members, wait_until
from tests.kube.periods import Periods
from tests.support.cli import Answer, Controller

from netmesh_controller.mesh.document import Cell, RunDocument

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HOST_NETWORK = DEPLOY / "overlays" / "host-network"
NAMESPACE, HOST_NAMESPACE = "netmesh", "netmesh-host"
CONTROLLER_USER = f"system:serviceaccount:{NAMESPACE}:netmesh-controller"
NODES = ("node-1", "node-2", "node-3")
READY_SECONDS = 120
SWEEP_SECONDS = 900
_PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/http:netmesh-controller:9412/proxy"
_TOOLS = {"iperf3", "qperf", "sockperf"}
_MADE_FOR_RUNS = "endpointslice.kubernetes.io/managed-by=netmesh"

# What docs/kubernetes.md asks for somebody who runs sweeps, and no more.
_OPERATOR_RIGHTS = [
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["netmesh-token"], "verbs": ["get"]},
    {
        "apiGroups": [""],
        "resources": ["services/proxy"],
        "resourceNames": ["http:netmesh-controller:9412"],
        "verbs": ["get", "create", "delete"],
    },
]


@dataclass(frozen=True)
class Netmesh:
    """netmesh in the test cluster, and a user outside of it with a data directory of their own."""

    cluster: Cluster
    data: Path
    images: tuple[Path, ...] = ()

    def apply(self, folder: Path = DEPLOY) -> str:
        """What `kubectl apply -k` says of a folder."""
        self.periods.begin()
        return self.cluster.kubectl("apply", "-k", str(folder))

    def delete(self, folder: Path = DEPLOY) -> None:
        """Removes what a folder applies, and waits until it is gone."""
        if folder == DEPLOY:
            self.periods.end()
        self.cluster.kubectl("delete", "-k", str(folder), "--ignore-not-found", seconds=180)

    def wait_ready(self, namespace: str = NAMESPACE, seconds: int = READY_SECONDS) -> None:
        """Waits until every DaemonSet and Deployment of a namespace is as it is to be."""
        for kind in self.cluster.get("daemonsets,deployments", "-n", namespace)["items"]:
            name = f"{kind['kind'].lower()}/{kind['metadata']['name']}"
            command = ("rollout", "status", name, "-n", namespace, f"--timeout={seconds}s")
            self.cluster.kubectl(*command, seconds=seconds + 10)

    @property
    def periods(self) -> Periods:
        """The times in which netmesh had its rights, of all sessions of tests that used this cluster."""
        return Periods(self.cluster.folder / "periods.json")

    def grant(self) -> None:
        """Gives the user `operator` the rights that the docs name."""
        metadata = {"name": "operator", "namespace": NAMESPACE}
        api = "rbac.authorization.k8s.io"
        role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": _OPERATOR_RIGHTS}
        binding = {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "User", "apiGroup": api, "name": "operator"}],
        }
        for made in (role, binding):
            self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(made))

    def __call__(self, *command: object, **environment: str) -> Answer:
        """netmesh-controller outside of the cluster, with nothing but that user's kubeconfig."""
        kubeconfig = {"KUBECONFIG": str(self.cluster.user("operator"))}
        return Controller(self.data)(*command, **(kubeconfig | environment))

    def start(self, *command: object) -> subprocess.Popen[str]:
        """The same, and returns at once."""
        controller = Controller(self.data)
        environment = controller.environment(KUBECONFIG=str(self.cluster.user("operator")))
        pipe = subprocess.PIPE
        return subprocess.Popen(controller.argv(*command), env=environment, stdout=pipe, stderr=pipe, text=True)

    def sweep(self, *options: object) -> RunDocument:
        """A sweep's run document; fails with what was said where the sweep could not run."""
        running = self.start("sweep", "--format", "json", *options)
        try:
            said, errors = running.communicate(timeout=SWEEP_SECONDS)
        finally:
            running.kill()
        assert running.returncode in (0, 3), f"{running.returncode}: {errors}"
        return RunDocument.model_validate_json(said)

    def run(self, reference: str = "latest") -> RunDocument:
        """A stored run's document, from the controller in the cluster."""
        return RunDocument.model_validate(self.api(f"runs/{reference}/document"))

    def api(self, path: str) -> Any:
        """What the HTTP API answers to a GET, with the token."""
        status, body = self.proxied(f"api/v1/{path}", self.token())
        assert status == 200, body
        return json.loads(body)

    def proxied(self, path: str, token: str | None = None) -> tuple[int, str]:
        """Status and body of a GET of the controller's HTTP through the API server's proxy, as the administrator."""
        headers = {} if token is None else {"X-Netmesh-Token": token}
        return self.cluster.http(f"{_PROXY}/{path}", headers)

    def events(self, run: str) -> Iterator[str]:
        """The kinds of a sweep's events through the same proxy, each when it comes."""
        lines = self.cluster.lines(f"{_PROXY}/api/v1/sweeps/{run}/events", {"X-Netmesh-Token": self.token()})
        return (line.removeprefix("event: ") for line in lines if line.startswith("event: "))

    def token(self) -> str:
        """The API's token, of its Secret."""
        template = "--template={{.data.token | base64decode}}"
        return self.cluster.kubectl("get", "secret", "netmesh-token", "-n", NAMESPACE, template)

    def pods(self, component: str, namespace: str = NAMESPACE) -> dict[str, dict[str, Any]]:
        """Pods of a component (agent, peer, host, controller) by their node."""
        found = self.cluster.get("pods", "-n", namespace, f"-lapp.kubernetes.io/component={component}")["items"]
        return {pod["spec"].get("nodeName", ""): pod for pod in found}

    def said(self) -> str:
        """What the containers have logged in all pods that are there, those that died before the present ones too."""
        files = sorted(self.cluster.folder.glob(f"node-*/own/var-log/pods/{NAMESPACE}_*/*/*.log"))
        assert files, "the kubelets keep their pods' logs elsewhere"
        return "".join(file.read_text() for file in files)

    def kill_controller(self, pod: str) -> None:
        """Kills the controller's process in its container, as the kernel does where memory is short."""
        for pid in members():
            try:
                process = psutil.Process(pid)
                ours = "serve" in process.cmdline() and process.environ().get("NETMESH_POD_NAME") == pod
            except psutil.NoSuchProcess:
                continue
            if ours and process.name() != "tini":
                process.kill()
                return
        raise AssertionError(f"no controller runs in {pod}")

    def left_behind(self) -> list[str]:
        """Services and EndpointSlices that were made for runs, and tools that still run on any node."""
        kinds = "services,endpointslices"
        objects = self.cluster.get(kinds, "-n", NAMESPACE, "-l", _MADE_FOR_RUNS)["items"]
        left = [f"{made['kind']} {made['metadata']['name']}" for made in objects]
        for pid in members():
            try:
                name = psutil.Process(pid).name()
            except psutil.NoSuchProcess:
                continue
            if name in _TOOLS:
                left.append(f"process {name}")
        return left

    def wait_clean(self, seconds: float = 60) -> None:
        """Waits until nothing is left behind."""
        try:
            wait_until("Nothing is left behind", lambda: not self.left_behind(), seconds, 1)
        except Exception as error:
            raise AssertionError(f"left behind: {self.left_behind()}") from error


def gaps(document: RunDocument) -> list[str]:
    """Cells without a value, as one line each."""
    return [f"{_key(cell)}: {cell.reason.code}: {cell.reason.message}" for cell in document.cells if cell.reason]


def pairs(document: RunDocument, path: str, test: str) -> set[tuple[str, str]]:
    """The ordered pairs of nodes that have a value for a path and test."""
    return {
        (cell.source, cell.target)
        for cell in document.cells
        if (cell.path, cell.test, cell.outcome) == (path, test, "measured")
    }


def every_pair(*, local: bool, remote: bool = True) -> set[tuple[str, str]]:
    """The ordered pairs that a path has cells for."""
    return {(a, b) for a in NODES for b in NODES if (local if a == b else remote)}


def figures(document: RunDocument, test: str, value: str, want: Callable[[Cell], bool] = lambda _: True) -> list[float]:
    """A value's means in the measured cells of a test."""
    cells = [cell for cell in document.cells if cell.test == test and cell.outcome == "measured" and want(cell)]
    return [summary.mean for cell in cells if (summary := cell.values.get(value)) is not None]


def _key(cell: Cell) -> str:
    return f"{cell.path} {cell.test} ({cell.parameters.instrument}) {cell.source} -> {cell.target}"
