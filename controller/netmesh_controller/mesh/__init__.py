"""Pure: nodes, plans, schedules, cells, matrices, findings. No I/O, no asyncio.

For notebooks: `arrays` makes numpy arrays of a run document (see docs/notebook.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netmesh_controller.mesh.notebook import RunArrays as RunArrays
    from netmesh_controller.mesh.notebook import arrays as arrays


def __getattr__(name: str) -> Any:
    """Imports what notebooks use when they use it: commands that need no arrays start without numpy."""
    if name in ("RunArrays", "arrays"):
        from netmesh_controller.mesh import notebook  # noqa: PLC0415  # see above

        return getattr(notebook, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
