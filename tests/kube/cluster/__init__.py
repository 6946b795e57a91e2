"""A real Kubernetes cluster of three nodes in network namespaces of this machine, for tests and by hand."""

from .cluster import Cluster
from .settings import ClusterError

__all__ = ["Cluster", "ClusterError"]
