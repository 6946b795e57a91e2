"""The bills of materials hold what the locks pin: every package, its version, its hashes, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pinned(image: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each package and version of a lock."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "locks" / f"{image}.txt").read_text()):
        name, version = re.match(r"([\w.-]+)==([\w.+-]+)", entry).groups()  # type: ignore[union-attr]  # or the test fails
        found[name, version] = set(re.findall(r"--hash=sha256:(\w+)", entry))
    return found


def test_a_bill_of_materials_is_its_lock(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/sbom", tmp_path], check=True, timeout=60)
    for image in ("agent", "controller"):
        bill = json.loads((tmp_path / f"{image}.cdx.json").read_text())
        assert bill["metadata"]["component"]["name"] == "netmesh"
        found = {
            (one["name"], one["version"]): {
                hash_["content"] for reference in one["externalReferences"] for hash_ in reference["hashes"]
            }
            for one in bill["components"]
        }
        assert found == pinned(image)
        assert all(found.values())
