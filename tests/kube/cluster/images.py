"""A small image of one static program: the pods' pause container, and a shell for tests."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
from pathlib import Path

from .node_files import PAUSE
from .settings import ClusterError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_APPLETS = ("sh", "sleep", "nc", "wget", "ping", "ping6", "cat", "id", "httpd", "echo", "true", "ip", "env", "ls")


def write_busybox(archive: Path) -> None:
    """Writes a docker archive whose one layer is Debian's static busybox."""
    program = shutil.which("busybox")
    if not program:
        raise ClusterError("There is no busybox: run scripts/install kube.")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "bin/busybox", Path(program).read_bytes(), 0o755)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    diff = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "infinity"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
        "history": [{"created_by": "busybox-static"}],
    }
    config_text = json.dumps(config).encode()
    config_file = f"{hashlib.sha256(config_text).hexdigest()}.json"
    manifest = [{"Config": config_file, "RepoTags": [PAUSE], "Layers": [f"{diff}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, config_file, config_text)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, f"{diff}/layer.tar", layer.getvalue())


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))
