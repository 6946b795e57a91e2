"""`python -m netmesh_agent.probes --version`: the version of the programs of this package, which is netmesh's."""

from __future__ import annotations

import sys
from importlib.metadata import version

if sys.argv[1:] != ["--version"]:
    sys.exit("usage: python -m netmesh_agent.probes --version")
sys.stdout.write(f"netmesh {version('netmesh')}\n")
