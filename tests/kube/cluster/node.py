"""A node: containerd with runc and the CNI bridge, a kubelet and kube-proxy, in namespaces of their own."""

from __future__ import annotations

import signal
from pathlib import Path

from . import network, node_files
from .pki import Pki
from .processes import Daemon, end_cgroup, make_cgroup, run, wait_until
from .settings import ClusterError, NodeAddresses


class Node:
    """One node's programs, each restartable for itself."""

    def __init__(self, index: int, folder: Path, programs: Path, pki: Pki, proxy_configuration: Path) -> None:
        self.addresses = NodeAddresses(index)
        self.name = self.addresses.name
        self._pki = pki
        self._files = node_files.NodeFiles(folder / self.name, self.addresses, pki.folder)
        script = [
            "unshare",
            "--mount",
            "--uts",
            "--propagation",
            "private",
            "sh",
            "-ec",
            self._files.namespaces_script(),
        ]
        self._namespaces = Daemon(folder, f"{self.name}-namespaces", script, self._inside_network)
        self.containerd = Daemon(folder, f"{self.name}-containerd", self._files.containerd_command(), self._inside)
        kubelet: list[str | Path] = [programs / "kubelet", *self._files.kubelet_options()]
        self.kubelet = Daemon(folder, f"{self.name}-kubelet", kubelet, self._inside)
        proxy: list[str | Path] = [programs / "kube-proxy", *self._files.kube_proxy_options(proxy_configuration)]
        self.kube_proxy = Daemon(folder, f"{self.name}-kube-proxy", proxy, self._inside)

    def start(self, images: list[Path]) -> None:
        """Starts all, with these images; it becomes Ready a little later."""
        make_cgroup(self.addresses.cgroup)
        self._pki.kubeconfig(self.name, f"system:node:{self.name}", ("system:nodes",))
        serving = [self.addresses.v4, self.addresses.v6, self.name]
        self._pki.issue(f"{self.name}-serving", f"system:node:{self.name}", ("system:nodes",), names=serving)
        self._files.write()
        self._namespaces.start()
        wait_until(f"The namespaces of {self.name} are there", self._files.mounted.exists, 20, 0.02)
        self.containerd.start()
        wait_until(f"containerd of {self.name} answers", self._containerd_answers, 30)
        for archive in images:
            self.load(archive)
        self.kubelet.start()
        self.kube_proxy.start()

    def load(self, archive: Path) -> None:
        """Imports a docker or OCI archive; pods name it with `imagePullPolicy: Never` or `IfNotPresent`."""
        self.ctr("images", "import", str(archive))

    def ctr(self, *command: str) -> str:
        """Output of containerd's own client, in the kubelet's namespace of names."""
        return run("ctr", "--address", self._files.socket, "--namespace", "k8s.io", *command, seconds=300)

    def wait_for_proxy(self, mode: str, seconds: float = 60) -> None:
        """Waits until kube-proxy has written the rules of the cluster's own Service in this mode, and only in this."""
        wait_until(f"kube-proxy of {self.name} writes {mode} rules", lambda: self._rules_of() == {mode}, seconds, 0.5)

    def _rules_of(self) -> set[str]:
        by_iptables = "KUBE-SVC" in self.shell("iptables-save", "--table", "nat")
        by_nftables = "table ip kube-proxy" in self.shell("nft", "list", "tables")
        return {mode for mode, there in (("iptables", by_iptables), ("nftables", by_nftables)) if there}

    def shell(self, *command: str) -> str:
        """Output of a command in the node's namespaces."""
        return run(*self._inside(), *command)

    def stop(self) -> None:
        """Ends the node as a machine that loses power: at once, with its pods; its folder and namespace go."""
        for daemon in (self.kubelet, self.kube_proxy, self.containerd, self._namespaces):
            daemon.stop(signal.SIGKILL)
        end_cgroup(self.addresses.cgroup)
        self._files.remove()
        network.remove_node(self.addresses)

    def _containerd_answers(self) -> bool:
        try:
            self.ctr("version")
        except ClusterError:
            if self.containerd.pid is None:
                raise ClusterError(f"containerd of {self.name} ended:\n{self.containerd.tail()}") from None
            return False
        return True

    def _inside_network(self) -> list[str]:
        return network.enter(self.addresses.namespace)

    def _inside(self) -> list[str]:
        if (pid := self._namespaces.pid) is None:
            raise ClusterError(f"{self.name} does not run:\n{self._namespaces.tail()}")
        return ["nsenter", f"--target={pid}", "--net", "--mount", "--uts", "--"]
