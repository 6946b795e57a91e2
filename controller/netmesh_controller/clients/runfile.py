"""The door to run files: whole runs as one file, `run.json`, or `run.jsonl.zst` where there are many cells.

A `.jsonl` has the document without its cells on the first line, then a cell a line; `.zst` is the same, compressed by
zstandard. Files are known by what they begin with, not by their names. They are read and written as streams.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, overload

import zstandard
from pydantic import ValidationError
from pydantic_core import from_json

from netmesh_common.errors import BadUsageError
from netmesh_controller.mesh.chunks import MOST_LINE_BYTES, ZSTANDARD, TooLargeError, lines_of, unpacked
from netmesh_controller.mesh.document import SCHEMA, Cell, Finding, Matrix, Node, Run, RunDocument
from netmesh_controller.mesh.lines import Batch, Line, LineError, LineReader, first_wrong
from netmesh_controller.mesh.matrixtext import matrix_text
from netmesh_controller.mesh.table import Table

# Above this many cells a run travels as lines.
MOST_CELLS_OF_A_DOCUMENT = 10_000
DOCUMENT, LINES = ".json", ".jsonl.zst"
ENDINGS = (DOCUMENT, LINES, ".jsonl")
# Of a store that is written as it is read, so many go into one commit.
_CELLS_AT_ONCE = 20_000
_BYTES_AT_ONCE = 1 << 20

# An id names files and stands in addresses and headers, wherever its file came from.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class RunFileError(BadUsageError):
    """The file is no run, or cannot be read or written; the message names it and the field, and what would be right."""


class RunFile:
    """A run in a file. Its head is read and checked; its cells are read, and checked, by `lines`."""

    def __init__(self, path: Path) -> None:
        """Raises RunFileError where it is no run file."""
        self.path = path
        with self._told():
            self._whole, self.head = self._begin()

    @property
    def run(self) -> Run:
        """The run's record."""
        return self.head.run

    @property
    def nodes(self) -> list[Node]:
        """The run's nodes."""
        return self.head.nodes

    def lines(self) -> Iterator[list[Line]]:
        """The cells in batches, one by one; RunFileError names the first that is wrong."""
        return self._read(LineReader.read)

    def batches(self) -> Iterator[Batch]:
        """The cells in batches, in columns where they are alike; otherwise as `lines`."""
        return self._read(LineReader.batch, lambda lines: Batch((), lines))

    @overload
    def _read(self, read: Callable[[LineReader, list[Any]], list[Line]]) -> Iterator[list[Line]]: ...

    @overload
    def _read(
        self, read: Callable[[LineReader, list[Any]], Batch], made: Callable[[list[Line]], Batch]
    ) -> Iterator[Batch]: ...

    def _read(self, read: Callable[[LineReader, list[Any]], Any], made: Callable[[list[Line]], Any] = list) -> Any:
        reader = LineReader([node.name for node in self.nodes])
        number = 0
        with self._told():
            for batch in self._batches():
                try:
                    yield made(reader.read_objects(batch)) if self._whole is not None else read(reader, batch)
                except LineError as error:
                    place = number + error.index
                    where = f"cells[{place}]" if self._whole else f"line {place + 2}"
                    raise RunFileError(f"{self.path}: {where}: {error}") from error
                number += len(batch)

    def _begin(self) -> tuple[list[Any] | None, RunDocument]:
        with self._open() as chunks:
            lines = lines_of(chunks)
            first = next(lines, b"")
            try:
                head = from_json(first, allow_inf_nan=False)
                as_lines = True
            except ValueError:
                whole = _joined(first, lines)
                try:
                    head = from_json(whole, allow_inf_nan=False)
                    as_lines = False
                except ValueError as error:
                    raise RunFileError(f"{self.path} is no run file: it is no JSON ({error})") from error
        if not isinstance(head, dict) or "schema" not in head:
            raise RunFileError(f"{self.path} is no run file: schema: it is missing; a run file says '{SCHEMA}'")
        if head["schema"] != SCHEMA:
            said = f"it is {head['schema']!r}, and this netmesh reads '{SCHEMA}'"
            raise RunFileError(f"{self.path}: schema: {said}")
        # A whole document may stand on one line, too.
        cells = head.pop("cells", None if as_lines else [])
        if cells is not None and not isinstance(cells, list):
            raise RunFileError(f"{self.path}: cells: it should be a list")
        try:
            document = RunDocument.model_validate({**head, "cells": []})
        except ValidationError as error:
            field, message = first_wrong(error)
            raise RunFileError(f"{self.path}: {field}: {message}") from error
        if _ID.fullmatch(document.run.id) is None:
            raise RunFileError(f"{self.path}: run.id: {document.run.id[:80]!r} should be up to 80 of A-Z a-z 0-9 . _ -")
        return cells, document

    def _batches(self) -> Iterator[list[Any]]:
        if self._whole is not None:
            for begin in range(0, len(self._whole), _CELLS_AT_ONCE):
                yield self._whole[begin : begin + _CELLS_AT_ONCE]
            return
        with self._open() as chunks:
            lines = lines_of(chunks)
            next(lines)
            batch = []
            for line in lines:
                batch.append(line)
                if len(batch) == _CELLS_AT_ONCE:
                    yield batch
                    batch = []
            if batch:
                yield batch

    @contextmanager
    def _open(self) -> Iterator[Iterator[bytes]]:
        with self.path.open("rb") as file:
            packed = file.read(len(ZSTANDARD)) == ZSTANDARD
            file.seek(0)
            # What is compressed grows by a factor of ten.
            size = _BYTES_AT_ONCE // 4 if packed else _BYTES_AT_ONCE
            chunks = iter(lambda: file.read(size), b"")
            yield unpacked(chunks) if packed else chunks

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFileError(f"{self.path} cannot be read: {error.strerror}") from error
        except TooLargeError as error:
            raise RunFileError(f"{self.path} is no run file: {error}") from error
        except (zstandard.ZstdError, EOFError) as error:
            raise RunFileError(f"{self.path} is damaged or cut short: {error}") from error


def _joined(first: bytes, lines: Iterable[bytes]) -> bytes:
    parts, size = [first], len(first)
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > MOST_LINE_BYTES:
            raise TooLargeError(f"a document has at most {MOST_LINE_BYTES} bytes; a larger run is a file of lines")
    return b"\n".join(parts)


def is_run_file(reference: str) -> bool:
    """Whether a RUN is meant to be a file: it ends like one, or has a folder in front."""
    return reference.endswith(ENDINGS) or os.sep in reference


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is whole. RunFileError where it cannot be written."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                if path.name.endswith(".zst"):
                    packing = zstandard.ZstdCompressor(level=3, write_checksum=True)
                    with packing.stream_writer(file, closefd=False) as packed:
                        yield packed
                else:
                    yield file
                file.flush()
                os.fsync(file.fileno())
                # As a file that is made without a detour: by the umask.
                mask = os.umask(0)
                os.umask(mask)
                Path(file.name).chmod(0o666 & ~mask)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise RunFileError(f"{path} cannot be written: {error.strerror}") from error


def head_line(document: RunDocument) -> bytes:
    """The first line of a file of lines: the document without its cells, and without what follows from them."""
    return document.model_dump_json(by_alias=True, exclude={"cells"}).encode() + b"\n"


def document_parts(
    head: RunDocument, cells: Iterable[Cell], matrices: Iterable[Matrix | Table], findings: Iterable[Finding]
) -> Iterator[bytes]:
    """A `.json` in pieces, a cell and a matrix a line: its text is never in memory as a whole, nor is a matrix's.

    Of the `head` only the run and its nodes are taken.
    """
    begin = head.model_dump_json(by_alias=True, include={"schema_", "run", "nodes"})
    yield begin[:-1].encode()
    yield from _array("cells", ([cell.model_dump_json()] for cell in cells))
    yield from _array("matrices", (matrix_text(matrix) for matrix in matrices))
    yield from _array("findings", ([finding.model_dump_json()] for finding in findings))
    yield b"\n}\n"


def _array(name: str, items: Iterable[Iterable[str]]) -> Iterator[bytes]:
    yield f',\n"{name}":['.encode()
    for number, item in enumerate(items):
        yield b",\n" if number else b"\n"
        for part in item:
            yield part.encode()
    yield b"]"
