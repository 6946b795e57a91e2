"""Files of lines are read as a stream, and what would fill the memory is refused."""

from __future__ import annotations

import pytest
import zstandard

from netmesh_controller.mesh.chunks import TooLargeError, lines_of, unpacked


def test_a_small_file_that_holds_gigabytes_is_refused_before_they_are_there() -> None:
    packing = zstandard.ZstdCompressor(level=19).compressobj()
    bomb = b"".join([*(packing.compress(bytes(1 << 20)) for _ in range(256)), packing.flush()])
    assert len(bomb) < 1 << 16
    sizes: list[int] = []
    with pytest.raises(TooLargeError, match="more than 200000000 bytes"):
        sizes.extend(map(len, unpacked([bomb], 200_000_000)))
    assert max(sizes) < 200_000_000


def test_frames_and_pieces_are_put_together() -> None:
    parts = [b"one\ntwo", b"\n\nthree\n" * 3000, b"four"]
    packed = b"".join(zstandard.ZstdCompressor().compress(part) for part in parts)
    for size in (1, 7, 5000, len(packed)):
        chunks = [packed[begin : begin + size] for begin in range(0, len(packed), size)]
        assert b"".join(unpacked(chunks)) == b"".join(parts)
    with pytest.raises(EOFError):
        list(unpacked([packed[:-1]]))


def test_a_line_that_never_ends_is_refused() -> None:
    assert list(lines_of([b"ab", b"c\nde\n", b"\nf"], 5)) == [b"abc", b"de", b"f"]
    with pytest.raises(TooLargeError, match="a line of it has more than 5 bytes"):
        list(lines_of([b"abc", b"def"], 5))
