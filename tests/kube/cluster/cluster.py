"""The cluster as a whole: up, down, and what tests do to it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from . import images, machine, network
from .binaries import programs
from .control_plane import ControlPlane
from .node import Node
from .node_files import kube_proxy_configuration
from .pki import Pki
from .processes import end_cgroup, make_cgroup, members, run, started_at, wait_until, weigh
from .settings import API_PORT, CGROUP, CONTROL_PLANE_V4, PROXY_MODES, ClusterError, NodeAddresses, state_folder

NODES = (1, 2, 3)
LOCK_SECONDS = 3.0


class Cluster:
    """The one cluster of this machine. Make one with `up`, or take the one that runs with `running`."""

    def __init__(
        self, folder: Path, programs_folder: Path, proxy_mode: str, nodes: tuple[int, ...], owner: dict[str, Any]
    ) -> None:
        self._owner = owner
        self.folder, self.programs, self.proxy_mode = folder, programs_folder, proxy_mode
        self._pki = Pki(folder / "pki")
        self.control_plane = ControlPlane(folder, programs_folder, self._pki)
        self.nodes = {index: self._node(index) for index in nodes}
        self.kubeconfig = folder / "pki" / "admin.kubeconfig"

    @classmethod
    def up(cls, proxy_mode: str = "iptables", archives: tuple[Path, ...] = (), *, by_hand: bool = False) -> Cluster:
        """A new cluster, all nodes Ready; what a killed one left is removed first.

        `archives` are images that every node gets. ClusterError where one runs already, or a part of it does not start.
        """
        if os.geteuid():
            raise ClusterError("The test cluster needs root, for namespaces and control groups: run it with sudo.")
        if proxy_mode not in PROXY_MODES:
            raise ClusterError(f"kube-proxy's mode is one of {', '.join(PROXY_MODES)}, not {proxy_mode}.")
        found = programs()
        folder = state_folder()
        with _lock():
            if _in_use(folder):
                raise ClusterError(
                    "A cluster runs already: end it with make kube-down, or use it (NETMESH_KUBE_REUSE=1)."
                )
            _remove(folder)
            folder.mkdir(parents=True, mode=0o711)  # PostgreSQL is not root
            owner = {"by_hand": by_hand, "pid": os.getpid(), "started_at": started_at(os.getpid())}
            cluster = cls(folder, found, proxy_mode, NODES, owner)
            try:
                cluster._start(archives)
            except BaseException:
                cluster.keep_logs()
                _remove(folder)
                raise
            cluster._record()
        return cluster

    @classmethod
    def running(cls) -> Cluster:
        """The cluster that runs. ClusterError where there is none."""
        folder = state_folder()
        if not _in_use(folder):
            raise ClusterError("No cluster runs: start one with make kube-up.")
        state = _state(folder)
        return cls(folder, Path(state["programs"]), state["proxy_mode"], tuple(state["nodes"]), state["owner"])

    @staticmethod
    def down() -> bool:
        """Ends and removes the cluster, or what is left of one; False where there was nothing."""
        with _lock():
            return _remove(state_folder())

    def kubectl(self, *command: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Output of kubectl as the cluster's administrator."""
        return run(self.programs / "kubectl", "--kubeconfig", self.kubeconfig, *command, stdin=stdin, seconds=seconds)

    def user(self, name: str, *groups: str) -> Path:
        """The kubeconfig of a user, who has the rights that are granted to that name and these groups."""
        known = self._pki.folder / f"{name}.kubeconfig"
        return known if known.exists() else self._pki.kubeconfig(name, name, groups)

    def get(self, *what: str) -> Any:
        """What `kubectl get … --output=json` says, parsed."""
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def http(self, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and body that the API server answers its administrator; headers of one's own are kubectl's lack."""
        with self._asked(path, headers) as answer:
            return answer.status, answer.read().decode()

    def lines(self, path: str, headers: Mapping[str, str]) -> Iterator[str]:
        """The same answer's lines, each as soon as it is there."""
        with self._asked(path, headers) as answer:
            for line in answer:
                yield line.decode().rstrip("\n")

    @contextmanager
    def _asked(self, path: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        pki = self._pki.folder
        tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the CA is as EKS's are
        tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        connection = HTTPSConnection(CONTROL_PLANE_V4, API_PORT, context=tls, timeout=60)
        try:
            connection.request("GET", path, headers=dict(headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def load(self, *archives: Path) -> None:
        """Imports images into every node."""
        with ThreadPoolExecutor() as pool:
            for archive in archives:
                list(pool.map(lambda node, a=archive: node.load(a), self.nodes.values()))

    def set_proxy_mode(self, mode: str) -> None:
        """Restarts every kube-proxy in another mode, and waits until each has written its rules."""
        self.proxy_mode = mode
        self._configure_proxies()
        self._publish_proxies_configuration()
        self._record()
        for node in self.nodes.values():
            node.kube_proxy.restart()  # it removes the rules of the mode before
        for node in self.nodes.values():
            node.wait_for_proxy(mode)

    def wait_ready(self, seconds: float = 90) -> None:
        """Waits until every node is Ready."""
        wanted = {node.name for node in self.nodes.values()}
        try:
            wait_until("All nodes are Ready", lambda: wanted <= self.ready_nodes(), seconds)
        except ClusterError as error:
            tails = "\n".join(f"{node.name}: {node.kubelet.tail(5)}" for node in self.nodes.values())
            raise ClusterError(f"{error}\n{tails}") from None

    def ready_nodes(self) -> set[str]:
        """Names of the nodes that are Ready."""
        return {
            node["metadata"]["name"]
            for node in self.get("nodes")["items"]
            for condition in node["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def add_node(self, index: int, archives: tuple[Path, ...] = ()) -> Node:
        """Starts one more node; it becomes Ready a little later."""
        others = [node.addresses for node in self.nodes.values()]
        network.add_node(NodeAddresses(index), others)
        node = self._node(index)
        self.nodes[index] = node
        self._record()
        try:
            node.start([self._busybox, *archives])
        except BaseException:
            self.remove_node(index)
            raise
        return node

    def remove_node(self, index: int) -> None:
        """Ends a node at once and deletes it from the API."""
        self.nodes.pop(index).stop()
        self.kubectl("delete", "node", NodeAddresses(index).name, "--ignore-not-found")
        self._record()

    def plug(self, index: int, *, up: bool) -> None:
        """Cuts a node's port on the switch, or mends it."""
        network.plug(NodeAddresses(index), up=up)

    def keep_logs(self) -> None:
        """Copies all logs to the folder that NETMESH_KUBE_LOGS names, if it does."""
        wanted, logs = os.environ.get("NETMESH_KUBE_LOGS"), self.folder / "logs"
        if wanted and logs.exists():
            shutil.copytree(logs, wanted, dirs_exist_ok=True)

    @property
    def _proxy_configuration(self) -> Path:
        return self.folder / "kube-proxy.yaml"

    @property
    def _busybox(self) -> Path:
        return self.folder / "busybox.tar"

    def _node(self, index: int) -> Node:
        return Node(index, self.folder, self.programs, self._pki, self._proxy_configuration)

    def _start(self, archives: tuple[Path, ...]) -> None:
        machine.save(self.folder / "before.json")
        make_cgroup(f"{CGROUP}/system")
        weigh(CGROUP, len(NODES) + 1)  # each node and the control plane as one process
        self._pki.make()
        self._pki.kubeconfig("admin", "admin", ("system:masters",))
        self._pki.kubeconfig("kube-proxy", "system:kube-proxy")
        images.write_busybox(self._busybox)
        self._configure_proxies()
        network.make()
        addresses = [node.addresses for node in self.nodes.values()]
        for number, node in enumerate(addresses):
            network.add_node(node, addresses[:number])
        with ThreadPoolExecutor() as pool:
            control_plane = pool.submit(self.control_plane.start)
            nodes = [pool.submit(node.start, [self._busybox]) for node in self.nodes.values()]
            for part in (control_plane, *nodes):
                part.result()
        kube_system = ("get", "namespace", "kube-system", "--ignore-not-found", "--output=name")
        wait_until("There is a namespace kube-system", lambda: self.kubectl(*kube_system), 30)
        self._publish_proxies_configuration()
        self.load(*archives)
        self.wait_ready()

    def _configure_proxies(self) -> None:
        self._proxy_configuration.write_text(kube_proxy_configuration(self.proxy_mode, self._pki.folder))

    def _publish_proxies_configuration(self) -> None:
        """Where kubeadm's clusters tell it, and netmesh reads the mode."""
        data = {"config.conf": self._proxy_configuration.read_text()}
        name = {"name": "kube-proxy", "namespace": "kube-system"}
        told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(told))

    def _record(self) -> None:
        """Only a cluster that is whole has this file."""
        state = {
            "owner": self._owner,
            "programs": str(self.programs),
            "proxy_mode": self.proxy_mode,
            "nodes": list(self.nodes),
        }
        work = self.folder / ".state.json"
        work.write_text(json.dumps(state))
        work.replace(self.folder / "state.json")


def _state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return {}
    return state


def _in_use(folder: Path) -> bool:
    """Whether a whole cluster runs that is somebody's: of `kube-up`, or of tests that still run."""
    state = _state(folder)
    if not state or not members():
        return False
    owner = state["owner"]
    return bool(owner["by_hand"]) or started_at(owner["pid"]) == owner["started_at"]


def _remove(folder: Path) -> bool:
    found = folder.exists() or bool(members())
    end_cgroup()
    network.remove()
    machine.restore(folder / "before.json")
    if folder.exists():
        shutil.rmtree(folder)
    return found


@contextmanager
def _lock() -> Iterator[None]:
    """Nobody else makes or ends the cluster meanwhile.

    A command that was killed holds it a moment longer: until what it was just starting has become another program.
    """
    with Path("/run/lock/netmesh-kube").open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            wait_until("The lock is free", taken, LOCK_SECONDS, 0.05)
        except ClusterError:
            raise ClusterError("Another command is making or ending the cluster right now.") from None
        yield
