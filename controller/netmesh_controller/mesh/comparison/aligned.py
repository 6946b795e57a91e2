"""Two runs' repeats of one value over the pairs that both have, and what of them could not be put side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.comparison.shapes import Cells, Side
from netmesh_controller.mesh.comparison.significance import Floats
from netmesh_controller.mesh.gather import Gathered


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Repeats of both runs, (repeats, sources, targets) each, NaN where there is no number."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    first: Floats
    second: Floats

    def of(self, cells: Cells) -> Aligned:
        """The remote or the local cells of it, NaN elsewhere."""
        local = np.array([[source == target for target in self.targets] for source in self.sources], dtype=bool)
        wanted = local if cells == "local" else ~local
        first, second = (np.where(wanted[None], repeats, np.nan) for repeats in (self.first, self.second))
        return Aligned(self.sources, self.targets, first, second)


def aligned(first: Gathered, second: Gathered, value: str) -> Aligned:
    """A value of one series in two runs, over the nodes and targets that both runs have."""
    sources = tuple(name for name in first.names if name in set(second.names))
    targets = tuple(name for name in first.targets if name in set(second.targets))
    parts = []
    for gathered in (first, second):
        rows = [gathered.names.index(name) for name in sources]
        places = {name: column for column, name in enumerate(gathered.targets)}
        columns = [places[name] for name in targets]
        repeats = gathered.repeats(value)
        whole = rows == list(range(len(gathered.names))) and columns == list(range(len(gathered.targets)))
        parts.append(repeats if whole else repeats[:, rows][:, :, columns])
    return Aligned(sources, targets, parts[0], parts[1])


def remarks_on(first: Side, second: Side) -> list[str]:
    """What of two runs cannot be put side by side, in sentences."""
    said = []
    names = [{node.name for node in side.nodes} for side in (first, second)]
    for side, only, other in ((first, names[0] - names[1], second), (second, names[1] - names[0], first)):
        if only:
            listed = ", ".join(sorted(only)[:3]) + (", …" if len(only) > 3 else "")
            verb = "node is" if len(only) == 1 else "nodes are"
            said.append(f"{len(only)} {verb} in {side.label} only and not in {other.label} ({listed}); left out.")
    for side, other in ((first, second), (second, first)):
        lacking = {(one.path, one.test) for one in side.series if one not in other.series}
        for path, test in sorted(lacking):
            same = any((one.path, one.test) == (path, test) for one in other.series)
            why = "with other parameters" if same else "not"
            said.append(f"{path} {test} of {side.label} was {why} measured in {other.label}.")
    if first.run.state != "complete" or second.run.state != "complete":
        named = [f"{side.label} is {side.run.state}" for side in (first, second) if side.run.state != "complete"]
        said.append(f"{' and '.join(named)}: only cells that both have are compared.")
    return said
