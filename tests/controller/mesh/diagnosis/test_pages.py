"""The documentation's pages of verdicts are those that the rules make."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from netmesh_controller.mesh.diagnosis.document import Code
from netmesh_controller.mesh.diagnosis.pages import page_of, pages

ROOT = Path(__file__).parents[4]


def test_every_verdict_has_its_page_and_no_page_is_stale() -> None:
    made = pages()
    assert set(made) == set(get_args(Code))
    for code, text in made.items():
        assert (ROOT / page_of(code)).read_text() == text, f"scripts/verdicts: {page_of(code)} is stale"
        for part in ("# ", f"`{code}`", "## How it was seen", "## What to do"):
            assert part in text
    assert {path.stem for path in (ROOT / "docs/verdicts").glob("*.md")} == set(made)


def test_the_list_of_verdicts_leads_to_each_page() -> None:
    text = (ROOT / "docs/diagnosis.md").read_text()
    for code in get_args(Code):
        assert f"[`{code}`](verdicts/{code}.md)" in text
