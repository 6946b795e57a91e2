"""A matrix as packed binary: a thousand nodes' million pairs in one array that a browser reads as it is.

Little endian. First the header's length in bytes as uint32, then the header: JSON in UTF-8, padded with spaces so that
what follows stands on a multiple of 8. It has the matrix' fields but `values` and `reasons`, and `codes`, the reason
codes that occur. Then rows by columns float64, row by row, NaN where there is no number; then as many uint8, 0 where
there is one, else the place of the reason in `codes`, counted from 1.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from netmesh_controller.mesh.document import Matrix

MEDIA_TYPE = "application/vnd.netmesh.matrix"


def pack(matrix: Matrix) -> bytes:
    """The matrix as bytes; ValueError for more than 255 different reasons."""
    codes = sorted({code for row in matrix.reasons for code in row if code is not None})
    if len(codes) > 255:
        raise ValueError(f"{len(codes)} different reasons do not fit into a byte")
    place = {code: index for index, code in enumerate(codes, start=1)}
    shape = (len(matrix.sources), len(matrix.targets))
    values = np.array(matrix.values, dtype="<f8").reshape(shape)  # None becomes NaN
    reasons = np.array([[0 if code is None else place[code] for code in row] for row in matrix.reasons], dtype="u1")
    fields = {**matrix.model_dump(mode="json", exclude={"values", "reasons"}), "codes": codes}
    header = json.dumps(fields, separators=(",", ":")).encode()
    header += b" " * (-(4 + len(header)) % 8)
    return struct.pack("<I", len(header)) + header + values.tobytes() + reasons.reshape(shape).tobytes()


def unpack(data: bytes) -> Matrix:
    """The matrix that `pack` made bytes of; ValueError where they are none."""
    try:
        (length,) = struct.unpack_from("<I", data)
        fields = json.loads(data[4 : 4 + length])
        codes = [None, *fields.pop("codes")]
        rows, columns = len(fields["sources"]), len(fields["targets"])
        size = rows * columns
        values = np.frombuffer(data, "<f8", size, 4 + length).reshape(rows, columns)
        reasons = np.frombuffer(data, "u1", size, 4 + length + 8 * size).reshape(rows, columns)
    except (struct.error, KeyError, AttributeError) as error:
        raise ValueError(f"these bytes are no packed matrix: {error}") from error
    return Matrix(
        **fields,
        values=[[None if np.isnan(number) else float(number) for number in row] for row in values],
        reasons=[[codes[code] for code in row] for row in reasons],
    )
