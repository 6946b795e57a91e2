"""What a node's programs are told: their command lines and configuration files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from .settings import POD_NETS, ZONES, NodeAddresses

PAUSE = "localhost/netmesh-test-busybox:1"
"""The image that holds a pod's namespaces: one static program."""

# A kubelet clears /var/log/pods of what it does not know, also of another kubelet's; so each node has these for itself.
OWN_FOLDERS = ("/var/log", "/var/lib/kubelet", "/var/lib/cni", "/run/containerd")


class NodeFiles:
    """A node's folder below the cluster's."""

    def __init__(self, folder: Path, addresses: NodeAddresses, pki: Path) -> None:
        self._folder, self._addresses, self._pki = folder, addresses, pki
        self.socket = folder / "containerd.sock"
        self.mounted = folder / "mounted"

    def write(self) -> None:
        """Makes the folder."""
        (self._folder / "cni").mkdir(parents=True)
        for own in OWN_FOLDERS:
            self._own(own).mkdir(parents=True)
        (self._folder / "containerd.toml").write_text(self._containerd())
        (self._folder / "cni" / "10-bridge.conflist").write_text(json.dumps(self._cni()))
        (self._folder / "kubelet.json").write_text(json.dumps(self._kubelet()))  # JSON is YAML
        (self._folder / "resolv.conf").write_text("")  # the cluster has no DNS

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self._folder)

    def namespaces_script(self) -> str:
        """Shell that runs in new mount and UTS namespaces, puts the node's own folders in place and stays."""
        lines = [f"hostname {self._addresses.name}"]
        for own in OWN_FOLDERS:
            lines.append(f"mkdir -p {own}; mount --bind {self._own(own)} {own}")
        lines.append("mount --make-rshared /var/lib/kubelet")
        lines.append(f"touch {self.mounted}; exec sleep infinity")
        return "\n".join(lines)

    def containerd_command(self) -> list[str]:
        """Command line of containerd."""
        return ["containerd", "--config", str(self._folder / "containerd.toml")]

    def kubelet_options(self) -> list[str]:
        """Options of the kubelet; the rest is in its configuration file."""
        node = self._addresses
        return [
            f"--config={self._folder / 'kubelet.json'}",
            f"--kubeconfig={self._pki / f'{node.name}.kubeconfig'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.v4},{node.v6}",
            f"--node-labels=topology.kubernetes.io/region=test,topology.kubernetes.io/zone={ZONES[node.index]}",
            "--root-dir=/var/lib/kubelet",
            "--cert-dir=/var/lib/kubelet/pki",
        ]

    def kube_proxy_options(self, configuration: Path) -> list[str]:
        """Options of kube-proxy; its configuration is one for all nodes."""
        return [f"--config={configuration}", f"--hostname-override={self._addresses.name}"]

    def _own(self, path: str) -> Path:
        return self._folder / "own" / path.strip("/").replace("/", "-")

    def _containerd(self) -> str:
        folder = self._folder
        return f"""
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE nobody can lower a process's oom_score_adj.
  restrict_oom_score_adj = true
  # Else a pod's network namespace stays in /run/netns where a node ends hard.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "/usr/sbin/runc"
"""

    def _cni(self) -> dict[str, object]:
        ranges = [[{"subnet": self._addresses.pods_v4}], [{"subnet": self._addresses.pods_v6}]]
        bridge = {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "isDefaultGateway": True,
            "hairpinMode": True,
            "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": ranges, "dataDir": f"{self._folder}/addresses"},
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}

    def _kubelet(self) -> dict[str, object]:
        certificate = self._pki / f"{self._addresses.name}-serving"
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{certificate}.crt",
            "tlsPrivateKeyFile": f"{certificate}.key",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._addresses.cgroup}",
            "failCgroupV1": False,  # this machine may have version 1, which a kubelet since 1.35 refuses otherwise
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "resolvConf": str(self._folder / "resolv.conf"),
            "clusterDomain": "cluster.local",
            "nodeStatusUpdateFrequency": "3s",
            "nodeLeaseDurationSeconds": 12,
            "syncFrequency": "10s",
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "volumePluginDir": str(self._folder / "volume-plugins"),
            "maxPods": 60,
        }


def kube_proxy_configuration(mode: str, pki: Path) -> str:
    """Every kube-proxy's configuration as YAML; `mode` is iptables or nftables."""
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        "clusterCIDR": POD_NETS,
        "clientConnection": {"kubeconfig": str(pki / "kube-proxy.kubeconfig")},
        # These are the machine's, and cannot be written from a namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return yaml.safe_dump(configuration)
