"""Runs held against one another: better, worse, or not distinguishable, with how far they differ and how sure that is.

`compare` is what is called; `docs/measuring.md` says what its words mean.
"""

from netmesh_controller.mesh.comparison.compare import compare
from netmesh_controller.mesh.comparison.shapes import Cells, Comparison, Effect, Fact, Group, PairDifference, Side

__all__ = ["Cells", "Comparison", "Effect", "Fact", "Group", "PairDifference", "Side", "compare"]
