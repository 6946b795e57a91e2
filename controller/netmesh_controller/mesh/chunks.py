"""Bytes of a run file as lines: decompressed where they are compressed, cut at the ends of lines, as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

# A million cells with all that they can hold, as text, and the largest document that stands on one line.
MOST_UNPACKED_BYTES = 1 << 34
MOST_LINE_BYTES = 1 << 29
_PIECE_BYTES = 4096
ZSTANDARD = b"\x28\xb5\x2f\xfd"


class TooLargeError(ValueError):
    """A file, or a line of it, is larger than anything that is read."""


def unpacked(chunks: Iterable[bytes], most: int = MOST_UNPACKED_BYTES) -> Iterator[bytes]:
    """What zstandard frames hold, one after the other; EOFError where the last one does not end.

    zstandard.ZstdError where they are damaged; TooLargeError where they hold more than `most` bytes.
    """
    size = 0
    frame = zstandard.ZstdDecompressor().decompressobj()
    for chunk in chunks:
        # A small piece at a time: it may hold thirty thousand times as much.
        for begin in range(0, len(chunk), _PIECE_BYTES):
            rest = chunk[begin : begin + _PIECE_BYTES]
            while rest:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                plain = frame.decompress(rest)
                size += len(plain)
                if size > most:
                    raise TooLargeError(f"it holds more than {most} bytes")
                yield plain
                rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("its end is missing")


def lines_of(chunks: Iterable[bytes], most: int = MOST_LINE_BYTES) -> Iterator[bytes]:
    """The lines, without their ends; empty ones are left out. TooLargeError where one has more than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*parts, ended[0]])
            parts, size = [], 0
            yield from (line for line in ended if line)
        parts.append(rest)
        size += len(rest)
        if size > most:
            raise TooLargeError(f"a line of it has more than {most} bytes")
    last = b"".join(parts)
    if last.strip():
        yield last
