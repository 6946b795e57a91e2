"""Bytes of a run file as lines: decompressed where they are compressed, cut at the ends of lines, as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

ZSTANDARD = b"\x28\xb5\x2f\xfd"


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What zstandard frames hold, one after the other; EOFError where the last one does not end.

    zstandard.ZstdError where they are damaged.
    """
    frame = zstandard.ZstdDecompressor().decompressobj()
    for chunk in chunks:
        rest = chunk
        while rest:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(rest)
            rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("its end is missing")


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, without their ends; empty ones are left out."""
    parts: list[bytes] = []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*parts, ended[0]])
            parts = []
            yield from (line for line in ended if line)
        parts.append(rest)
    last = b"".join(parts)
    if last.strip():
        yield last
