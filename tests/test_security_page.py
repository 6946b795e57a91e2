"""The table of docs/security.md cannot rot: each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def claims() -> list[list[str]]:
    """The rows of the last table: a claim, and its tests."""
    page = (ROOT / "docs/security.md").read_text()
    table = page.partition("## Each claim and its test")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[2:]


def test_each_claim_names_tests_that_are_there() -> None:
    rows = claims()
    assert len(rows) > 20
    for claim, *tests in rows:
        named = NAMED.findall(" ".join(tests))
        assert named, claim
        for file, name in named:
            content = (ROOT / file).read_text() if (ROOT / file).exists() else ""
            assert re.search(rf"^(?:async )?def {name}\(", content, re.MULTILINE), f"{claim}: {file}::{name}"
