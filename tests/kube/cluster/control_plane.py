"""etcd, the API server, the controller manager and the scheduler, in a namespace of their own."""

from __future__ import annotations

import json
from pathlib import Path

from .network import CONTROL_PLANE, enter
from .pki import Pki
from .processes import Daemon, run, wait_until
from .settings import API_PORT, CONTROL_PLANE_V4, NODE_PORTS, POD_NETS, SERVICE_NETS, ClusterError

_ETCD = "http://127.0.0.1:2379"
_AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")


class ControlPlane:
    """The four programs; each can be restarted for itself."""

    def __init__(self, folder: Path, programs: Path, pki: Pki) -> None:
        self._folder, self._programs, self._pki = folder, programs, pki
        self.audit_log = folder / "logs" / "audit.log"
        self.etcd = self._daemon("etcd", self._etcd())
        self.apiserver = self._daemon("kube-apiserver", self._apiserver())
        self.controller_manager = self._daemon("kube-controller-manager", self._controller_manager())
        self.scheduler = self._daemon("kube-scheduler", self._scheduler())

    def start(self) -> None:
        """Starts all; returns when the API server is ready."""
        self._pki.kubeconfig("controller-manager", "system:kube-controller-manager")
        self._pki.kubeconfig("scheduler", "system:kube-scheduler")
        self.etcd.start()
        self.apiserver.start()
        self.wait_ready()
        self.controller_manager.start()
        self.scheduler.start()

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until the API server says that it is ready."""
        try:
            wait_until("The API server is ready", self._ready, seconds)
        except ClusterError as error:
            raise ClusterError(f"{error} Its log ends:\n{self.apiserver.tail()}") from None

    def compact(self) -> int:
        """Makes etcd forget all versions but the newest, so that watches from older ones get 410 Gone; the revision."""
        revision = int(self._etcd_call("kv/range", {"key": "AA==", "limit": 1})["header"]["revision"])
        self._etcd_call("kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def _etcd_call(self, method: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        url = f"{_ETCD}/v3/{method}"
        said = run(*enter(CONTROL_PLANE), "curl", "--silent", "--show-error", "--fail", "--data", json.dumps(body), url)
        answer: dict[str, dict[str, str]] = json.loads(said)
        return answer

    def _ready(self) -> bool:
        if self.apiserver.pid is None:
            raise ClusterError(f"The API server ended:\n{self.apiserver.tail()}")
        kubectl: list[str | Path] = [self._programs / "kubectl", "--kubeconfig", self._pki.folder / "admin.kubeconfig"]
        try:
            return run(*kubectl, "get", "--raw", "/readyz", "--request-timeout=2s") == "ok"
        except ClusterError:
            return False

    def _daemon(self, name: str, options: list[str]) -> Daemon:
        return Daemon(self._folder, name, [self._programs / name, *options], lambda: enter(CONTROL_PLANE))

    def _etcd(self) -> list[str]:
        peer = "http://127.0.0.1:2380"
        return [
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data need not outlive the machine
        ]

    def _apiserver(self) -> list[str]:
        pki = self._pki.folder
        return [
            f"--etcd-servers={_ETCD}",
            "--bind-address=::",
            f"--advertise-address={CONTROL_PLANE_V4}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_NETS}",
            f"--service-node-port-range={NODE_PORTS}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            # Without these the others log once in a few seconds that they miss them.
            f"--requestheader-client-ca-file={pki / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={_AUDIT_POLICY}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",  # else a new file begins at 100 MB, and what was asked before is not seen
            "--shutdown-delay-duration=0s",
        ]

    def _controller_manager(self) -> list[str]:
        pki = self._pki.folder
        config = pki / "controller-manager.kubeconfig"
        return [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--cluster-cidr={POD_NETS}",
            "--allocate-node-cidrs=false",
            # A node that is cut off is known as NotReady sooner than after the usual 50 s.
            "--node-monitor-period=2s",
            "--node-monitor-grace-period=16s",
            "--bind-address=127.0.0.1",
        ]

    def _scheduler(self) -> list[str]:
        config = self._pki.folder / "scheduler.kubeconfig"
        return [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ]
