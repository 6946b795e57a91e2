"""`python -m tests.kube.cluster`: the cluster by hand."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .binaries import programs
from .cluster import Cluster
from .settings import PROXY_MODES, ClusterError


def main() -> int:
    """Does what the command line says; 1 with one sentence where that cannot be."""
    parser = argparse.ArgumentParser(
        prog="tests.kube.cluster", description="A real Kubernetes cluster on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it")
    up.add_argument("--proxy-mode", choices=PROXY_MODES, default="iptables")
    up.add_argument("archives", nargs="*", type=Path, help="images (docker or OCI archives) for every node")
    commands.add_parser("down", help="end it and remove all of it")
    commands.add_parser("build", help="have the programs ready, and no more")
    load = commands.add_parser("load", help="import images into every node of the one that runs")
    load.add_argument("archives", nargs="+", type=Path)
    mode = commands.add_parser("proxy-mode", help="restart every kube-proxy in another mode")
    mode.add_argument("mode", choices=PROXY_MODES)
    asked = parser.parse_args()
    try:
        return _do(asked)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1


def _do(asked: argparse.Namespace) -> int:
    start = time.monotonic()
    if asked.command == "build":
        print(programs())
    elif asked.command == "up":
        cluster = Cluster.up(asked.proxy_mode, tuple(asked.archives), by_hand=True)
        print(f"Ready after {time.monotonic() - start:.0f} s: export KUBECONFIG={cluster.kubeconfig}")
        print(f"kubectl: {cluster.programs / 'kubectl'}; logs: {cluster.folder / 'logs'}")
    elif asked.command == "down":
        print("The cluster is gone." if Cluster.down() else "There was no cluster.")
    elif asked.command == "load":
        Cluster.running().load(*asked.archives)
    else:
        Cluster.running().set_proxy_mode(asked.mode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
