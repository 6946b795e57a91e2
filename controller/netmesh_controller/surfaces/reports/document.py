"""JSON and YAML: the run document itself, whole; above 10,000 cells as lines, `.jsonl.zst`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import yaml
import zstandard

from netmesh_controller.clients.runfile import LINES, MOST_CELLS_OF_A_DOCUMENT, head_line
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.surfaces.reports.formats import Format, ReportError, Wanted

_DOCUMENTS = (".json", ".yaml", ".yml")

# The one in C where PyYAML was built with it: documents are large.
_Dumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def ending_for(ending: str, cells: int) -> str:
    """The ending that a run of so many cells has instead of this one, or this one."""
    return LINES if ending in _DOCUMENTS and cells > MOST_CELLS_OF_A_DOCUMENT else ending


def render(wanted: Wanted, ending: str) -> Iterator[bytes]:
    """The document; what was chosen does not matter, a part of a document is none."""
    document = wanted.document()
    if ending not in _DOCUMENTS:
        yield from _lines(document, packed=ending == LINES)
        return
    if ending_for(ending, len(document.cells)) != ending:
        raise ReportError(f"--output: a run of {len(document.cells)} cells goes into a file that ends in {LINES}")
    if ending == ".json":
        yield document.model_dump_json(by_alias=True, indent=1).encode()
        yield b"\n"
        return
    fields = document.model_dump(mode="json", by_alias=True)
    yield yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


def _lines(document: RunDocument, *, packed: bool) -> Iterator[bytes]:
    # The matrices follow from the cells.
    head = head_line(document.model_copy(update={"matrices": []}))
    lines = chain([head], (cell.model_dump_json().encode() + b"\n" for cell in document.cells))
    if not packed:
        yield from lines
        return
    packing = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
    for line in lines:
        yield packing.compress(line)
    yield packing.flush()


FORMAT = Format((*_DOCUMENTS, ".jsonl", LINES), render)
