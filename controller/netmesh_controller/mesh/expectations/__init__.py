"""What is expected of a run: `TEST[.VALUE].STATISTIC[@PATH[/local|/remote]] OP NUMBER UNIT`, in every planned cell."""

from netmesh_controller.mesh.expectations.evaluate import Miss, Outcome, evaluate
from netmesh_controller.mesh.expectations.parse import Expectation, ExpectationError, parse

__all__ = ["Expectation", "ExpectationError", "Miss", "Outcome", "evaluate", "parse"]
