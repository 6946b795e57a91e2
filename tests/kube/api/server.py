"""A real kube-apiserver on a real etcd, on loopback: what the API answers is its own answer and nobody's imitation.

Nothing else of Kubernetes runs, so that tests write what a kubelet or a scheduler would.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

START_SECONDS = 60
CONTROLLER = "system:serviceaccount:netmesh:netmesh-controller"
_TOKENS = {"admin": ("admin", "system:masters"), "controller": (CONTROLLER, "system:serviceaccounts")}
_AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Granted:
    """A line of the audit log: who did what, and whether they might."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int


class ApiServer:
    """The two processes and their folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._etcd_port, self._peer_port, self.port = free_port(), free_port(), free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.audit_log = folder / "audit.log"
        # A server that starts refuses everything until it has read who may do what.
        self.ready_from = 0

    def start(self) -> None:
        """Starts both; returns when the API answers."""
        folder = self._folder
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (folder / "accounts.key").write_bytes(pem)
        lines = [f'{name}-token,{user},{user},"{groups}"' for name, (user, groups) in _TOKENS.items()]
        (folder / "tokens.csv").write_text("\n".join(lines) + "\n")
        (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
        here = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        options = ["--data-dir", folder / "etcd", "--listen-client-urls", here, "--advertise-client-urls", here]
        options += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        self._run("etcd", *options, "--initial-cluster", f"default={peer}", "--unsafe-no-fsync")
        self.start_api()

    def start_api(self) -> None:
        """Starts the API server, anew too; returns when it is ready."""
        folder = self._folder
        options = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "endpoint-reconciler-type": "none",
            "secure-port": self.port,
            "cert-dir": folder / "certificates",
            "service-cluster-ip-range": "10.96.0.0/16,fd00:10:96::/112",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": folder / "accounts.key",
            "service-account-signing-key-file": folder / "accounts.key",
            "token-auth-file": folder / "tokens.csv",
            "authorization-mode": "RBAC",
            # There is no controller that makes accounts' tokens for pods.
            "disable-admission-plugins": "ServiceAccount",
            "audit-policy-file": folder / "audit.yaml",
            "audit-log-path": self.audit_log,
        }
        self._run("kube-apiserver", *(f"--{name}={value}" for name, value in options.items()))
        until = time.monotonic() + START_SECONDS
        while not self._answers("/readyz"):
            assert self._processes["kube-apiserver"].poll() is None, self._tail("kube-apiserver")
            assert time.monotonic() < until, f"the API server is not ready: {self._tail('kube-apiserver')}"
            time.sleep(0.1)
        self.ready_from = self.audit_log.stat().st_size

    def stop_api(self) -> None:
        """Ends the API server, as a crash would; etcd keeps all."""
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Ends both and removes what they wrote."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def compact(self) -> None:
        """Makes etcd forget every version but the last, as it does every few minutes by itself."""
        now = self._etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd("/v3/kv/compaction", {"revision": now, "physical": True})

    def kubeconfig(self, name: str = "admin") -> Path:
        """A kubeconfig of `admin`, who may all, or of `controller`, who may what the manifests grant."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.port}",
                        "certificate-authority": str(self._folder / "certificates" / "apiserver.crt"),
                    },
                }
            ],
            "users": [{"name": name, "user": {"token": f"{name}-token"}}],
        }
        path = self._folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints, warnings included, as the administrator."""
        command = [str(self._programs / "kubectl"), "--kubeconfig", str(self.kubeconfig()), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def audited(self, since: int = 0) -> list[Granted]:
        """What the controller's account asked for from byte `since` of the audit log on."""
        with self.audit_log.open("rb") as log:
            log.seek(since)
            events = [json.loads(line) for line in log]
        found = []
        for event in events:
            reference = event.get("objectRef")
            if event["user"]["username"] == CONTROLLER and event["stage"] == "ResponseComplete" and reference:
                found.append(
                    Granted(
                        CONTROLLER,
                        event["verb"],
                        reference["resource"],
                        reference.get("namespace", ""),
                        reference.get("name", ""),
                        event["responseStatus"]["code"],
                    )
                )
        return found

    def _run(self, program: str, *options: object) -> None:
        log = self._folder / f"{program}.log"
        with log.open("ab") as out:
            command = [str(self._programs / program), *map(str, options)]
            self._processes[program] = subprocess.Popen(command, stdout=out, stderr=out)

    def _tail(self, program: str) -> str:
        return (self._folder / f"{program}.log").read_text(errors="replace")[-2000:]

    def _answers(self, path: str) -> bool:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"https://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={"Authorization": "Bearer admin-token"})
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _etcd(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._etcd_port}{path}", data, timeout=10) as answer:
            return json.loads(answer.read())
