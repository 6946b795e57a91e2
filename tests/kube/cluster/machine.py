"""What the cluster changes on the machine itself, outside of its own folder and namespaces, is put back."""

from __future__ import annotations

import json
from pathlib import Path

from .node_files import OWN_FOLDERS
from .settings import SYSCTLS

_SETTINGS = Path("/proc/sys")


def save(file: Path) -> None:
    """Writes what is now: settings that kubelets write, and which folders that nodes mount over are missing."""
    settings = {name: (_SETTINGS / name).read_text().strip() for name in SYSCTLS}
    missing = [folder for folder in OWN_FOLDERS if not Path(folder).exists()]
    file.write_text(json.dumps({"settings": settings, "missing": missing}))


def restore(file: Path) -> None:
    """Puts back what `save` wrote, where there is such a file."""
    if not file.exists():
        return
    before = json.loads(file.read_text())
    for name, value in before["settings"].items():
        if (_SETTINGS / name).read_text().strip() != value:
            (_SETTINGS / name).write_text(value)
    for folder in before["missing"]:
        if Path(folder).is_dir() and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
