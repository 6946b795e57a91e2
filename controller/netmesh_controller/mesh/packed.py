"""A matrix as packed binary: a thousand nodes' million pairs in arrays that a browser reads as they are.

Little endian. First the header's length in bytes as uint32, then the header: JSON in UTF-8, padded with spaces so that
what follows stands on a multiple of 8. It has the matrix' fields but `values` and `reasons`, and `codes`. Then one
float64 a pair, row by row, NaN where there is no number; then as many uint8: 0 where there is one, else the place of
the reason in `codes`.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.table import Series, Table

MEDIA_TYPE = "application/vnd.netmesh.matrix"


def pack(table: Table) -> bytes:
    """The matrix as bytes."""
    fields = {
        "path": table.series.path,
        "test": table.series.test,
        "parameters": table.series.parameters.model_dump(mode="json"),
        "value": table.value,
        "statistic": table.statistic,
        "unit": table.unit,
        "sources": table.sources,
        "targets": table.targets,
        "codes": table.codes,
    }
    header = json.dumps(fields, separators=(",", ":")).encode()
    header += b" " * (-(4 + len(header)) % 8)
    values, reasons = table.values.astype("<f8"), table.reasons.astype("u1")
    return struct.pack("<I", len(header)) + header + values.tobytes() + reasons.tobytes()


def unpack(data: bytes) -> Table:
    """The matrix that `pack` made bytes of; ValueError where they are none."""
    try:
        (length,) = struct.unpack_from("<I", data)
        fields = json.loads(data[4 : 4 + length])
        shape = len(fields["sources"]), len(fields["targets"])
        size = shape[0] * shape[1]
        values = np.frombuffer(data, "<f8", size, 4 + length).reshape(shape)
        reasons = np.frombuffer(data, "u1", size, 4 + length + 8 * size).reshape(shape)
        return Table(
            Series(fields["path"], fields["test"], Parameters.model_validate(fields["parameters"])),
            fields["value"],
            fields["statistic"],
            fields["unit"],
            tuple(fields["sources"]),
            tuple(fields["targets"]),
            values,
            reasons,
            tuple(fields["codes"]),
        )
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError(f"these bytes are no packed matrix: {error}") from error
