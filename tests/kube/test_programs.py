"""Where the cluster's programs come from, and what is said where they cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kube.cluster.binaries import KUBERNETES


def _build(path: Path, cache: Path, assets: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    if assets:
        environment["KUBEBUILDER_ASSETS"] = str(assets)
    command = [sys.executable, "-m", "tests.kube.cluster", "build"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    for name in ("etcd", *KUBERNETES):
        program = folder / name
        says = "etcd Version: 3.6.8" if name == "etcd" else "Kubernetes v1.36.4"
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    return folder


def test_programs_of_kubebuilder_assets_serve(tmp_path: Path, assets: Path) -> None:
    done = _build(tmp_path / "empty", tmp_path / "cache", assets)
    folder = Path(done.stdout.strip())
    assert {name: str((folder / name).resolve()) for name in ("etcd", "kubelet")} == {
        name: str(assets / name) for name in ("etcd", "kubelet")
    }


@pytest.mark.parametrize("old", [("etcd", "etcd Version: 3.4.23"), ("kubelet", "Kubernetes v1.30.1")])
def test_programs_that_are_too_old_do_not_serve(tmp_path: Path, assets: Path, old: tuple[str, str]) -> None:
    (assets / old[0]).write_text(f"#!/bin/sh\necho '{old[1]}'\n")
    done = _build(tmp_path / "empty", tmp_path / "cache", assets)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("version", "why"), [(None, "there is no go"), ("go1.22.5", "go is go1.22.5")])
def test_without_programs_and_without_a_new_enough_go_one_sentence_says_so(
    tmp_path: Path, version: str | None, why: str
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    if version:
        (path / "go").write_text(f"#!/bin/sh\necho {version}\n")
        (path / "go").chmod(0o755)
    done = _build(path, tmp_path / "cache")
    assert done.returncode == 1
    assert why in done.stderr
    assert "KUBEBUILDER_ASSETS" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_build_that_was_interrupted_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    half = tmp_path / "cache" / "netmesh" / "kube" / ".building-x"
    half.mkdir(parents=True)
    (half / "etcd").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _build(empty, tmp_path / "cache").returncode == 1
    assert os.listdir(half.parent) == [".building-x"]  # noqa: PTH208  # names alone
