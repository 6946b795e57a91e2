"""What a lab needs of this machine."""

from __future__ import annotations

import os
import shutil

from netmesh_controller.lab.errors import LabError

# Program, Debian package.
_PROGRAMS = {
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "tini": "tini",
    "tc": "iproute2",
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
}


def check() -> None:
    """LabError that says in one sentence what is missing, if anything is."""
    if os.geteuid() != 0:
        raise LabError("A lab is made of network namespaces, which takes root: run this with sudo.")
    missing = {program: package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        raise LabError(
            f"A lab needs {', '.join(missing)}: install the Debian packages {' '.join(sorted(set(missing.values())))}."
        )
