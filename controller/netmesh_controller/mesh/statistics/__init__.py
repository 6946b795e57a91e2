"""Statistics of samples and of repeats, as functions of plain numbers.

`summary`: the samples of one test; `intervals`: how well a mean is known, over repeats and within one test; `robust`:
middle and spread that a few wild values do not move; `merged`: distributions put together before percentiles are read.
"""

from netmesh_controller.mesh.statistics.intervals import Interval, mean_interval, within_test_interval
from netmesh_controller.mesh.statistics.merged import merged_percentiles
from netmesh_controller.mesh.statistics.repeats import Repeats, over_repeats
from netmesh_controller.mesh.statistics.robust import interquartile_range, mad
from netmesh_controller.mesh.statistics.summary import (
    SAMPLES_FOR_P99,
    SAMPLES_FOR_P999,
    mean,
    median,
    percentile,
    summarise,
)

__all__ = [
    "SAMPLES_FOR_P99",
    "SAMPLES_FOR_P999",
    "Interval",
    "Repeats",
    "interquartile_range",
    "mad",
    "mean",
    "mean_interval",
    "median",
    "merged_percentiles",
    "over_repeats",
    "percentile",
    "summarise",
    "within_test_interval",
]
