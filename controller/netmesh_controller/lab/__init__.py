"""A small cluster network out of Linux network namespaces, on this machine."""

from netmesh_controller.lab.errors import LabError, LabInputError
from netmesh_controller.lab.lab import (
    Lab,
    LabAgent,
    LabSummary,
    down,
    exec_argv,
    lab_for,
    list_labs,
    open_lab,
    set_lab,
    spec_from,
    up,
)
from netmesh_controller.lab.spec import LabSpec, load_spec, spec_of

__all__ = [
    "Lab",
    "LabAgent",
    "LabError",
    "LabInputError",
    "LabSpec",
    "LabSummary",
    "down",
    "exec_argv",
    "lab_for",
    "list_labs",
    "load_spec",
    "open_lab",
    "set_lab",
    "spec_from",
    "spec_of",
    "up",
]
