"""JSON and YAML: the run document itself, whole; above 10,000 cells as lines, `.jsonl.zst`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import yaml
import zstandard

from netmesh_controller.clients.runfile import LINES, MOST_CELLS_OF_A_DOCUMENT, document_parts, head_line
from netmesh_controller.surfaces.reports.content import Source
from netmesh_controller.surfaces.reports.formats import Format, ReportError, Wanted

_DOCUMENTS = (".json", ".yaml", ".yml")

# The one in C where PyYAML was built with it: documents are large.
_Dumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def ending_for(ending: str, cells: int) -> str:
    """The ending that a run of so many cells has instead of this one, or this one."""
    return LINES if ending in _DOCUMENTS and cells > MOST_CELLS_OF_A_DOCUMENT else ending


def render(wanted: Wanted, ending: str) -> Iterator[bytes]:
    """The document; what was chosen does not matter, a part of a document is none."""
    whole = wanted.whole()
    if ending not in _DOCUMENTS:
        yield from _lines(whole, packed=ending == LINES)
        return
    if ending_for(ending, len(whole.cells)) != ending:
        raise ReportError(f"--output: a run of {len(whole.cells)} cells goes into a file that ends in {LINES}")
    if ending == ".json":
        yield from as_json(whole)
        return
    fields = whole.document.model_dump(mode="json", by_alias=True)
    yield yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


def as_json(whole: Source) -> Iterator[bytes]:
    """The document in pieces, a cell or some rows of a matrix each: of a thousand nodes one has a million places."""
    yield from document_parts(whole.head, whole.cells, whole.tables, whole.findings)


def _lines(whole: Source, *, packed: bool) -> Iterator[bytes]:
    # The matrices follow from the cells.
    lines = chain([head_line(whole.head)], (cell.model_dump_json().encode() + b"\n" for cell in whole.cells))
    if not packed:
        yield from lines
        return
    packing = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
    for line in lines:
        yield packing.compress(line)
    yield packing.flush()


FORMAT = Format((*_DOCUMENTS, ".jsonl", LINES), render)
