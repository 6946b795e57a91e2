"""What a lab cannot do, said in one sentence for a person."""

from __future__ import annotations

from netmesh_common.errors import BadUsageError, CouldNotRunError


class LabError(CouldNotRunError):
    """The lab could not do what was asked, for a reason outside of the request."""


class LabInputError(LabError, BadUsageError):
    """What was asked for is wrong: a field of the file, a name that is taken or that there is not."""
