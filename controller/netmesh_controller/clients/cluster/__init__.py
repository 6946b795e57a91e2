"""The one door to the Kubernetes API. Objects travel as plain dictionaries, as the API writes them."""

from netmesh_controller.clients.cluster.connection import Cluster, connect, in_cluster
from netmesh_controller.clients.cluster.errors import ClusterError, Conflict, Forbidden, Gone, NotFound

__all__ = ["Cluster", "ClusterError", "Conflict", "Forbidden", "Gone", "NotFound", "connect", "in_cluster"]
