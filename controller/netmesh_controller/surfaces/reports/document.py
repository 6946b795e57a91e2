"""JSON and YAML: the run document itself, whole."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from netmesh_controller.surfaces.reports.formats import Format, Wanted

# The one in C where PyYAML was built with it: documents are large.
_Dumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def render(wanted: Wanted, ending: str) -> Iterator[bytes]:
    """The document; what was chosen does not matter, a part of a document is none."""
    if ending == ".json":
        yield wanted.document().model_dump_json(by_alias=True, indent=1).encode()
        yield b"\n"
        return
    fields = wanted.document().model_dump(mode="json", by_alias=True)
    yield yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


FORMAT = Format((".json", ".yaml", ".yml"), render)
