"""Who the two ends of a mesh are: authorities, certificates, and their rotation. No Kubernetes here."""

from netmesh_controller.identity.certificates import AGENT_NAME, CONTROLLER_NAME
from netmesh_controller.identity.files import IdentityError, make_identity

__all__ = ["AGENT_NAME", "CONTROLLER_NAME", "IdentityError", "make_identity"]
