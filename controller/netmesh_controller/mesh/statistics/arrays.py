"""The median of arrays of a million numbers, the same to the last bit as that of their objects.

Apart from the package's other functions, so that who needs no arrays starts without numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.statistics.summary import percentile


def median_of(numbers: NDArray[np.float64]) -> float:
    """As `statistics.median`, of a flat array of finite numbers; ValueError where there is none."""
    if not np.isfinite(numbers).all():
        raise ValueError("a sample is a finite number")
    low, high = max(0, (len(numbers) - 1) // 2), len(numbers) // 2
    middle = np.partition(numbers, (low, high))[low : high + 1].tolist() if len(numbers) else []
    return percentile(middle, 0.5)
