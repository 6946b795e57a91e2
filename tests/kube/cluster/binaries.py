"""The programs of the cluster: found on this machine, or built from the published modules with the Go toolchain."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .settings import ClusterError, cache_folder

FOLDER = Path(__file__).resolve().parents[1]
"""Of go.mod and go.sum, which pin the versions."""

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
OLDEST_KUBERNETES = (1, 34)
OLDEST_ETCD = (3, 5, 13)
"""An API server since 1.31 asks etcd for watch progress, which older ones answer with an error."""
OLDEST_GO = (1, 26)


def programs() -> Path:
    """A folder that holds all programs. The first time this builds them, which takes some 20 minutes on two cores.

    Raises ClusterError where they are neither found nor can be built.
    """
    built = _built_folder()
    if (built / "etcd").exists():
        return built
    return _found() or _build(built)


def kubernetes_version() -> str:
    """The version that go.mod pins, as `v1.36.4`."""
    return _pinned("k8s.io/kubernetes")


def _pinned(module: str) -> str:
    found = re.search(rf"^\s*{re.escape(module)} (v\S+)", (FOLDER / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise ClusterError(f"{FOLDER / 'go.mod'} does not require {module}.")
    return found[1]


def _built_folder() -> Path:
    pins = hashlib.sha256((FOLDER / "go.mod").read_bytes() + (FOLDER / "go.sum").read_bytes()).hexdigest()[:12]
    name = f"{kubernetes_version()}-etcd-{_pinned('go.etcd.io/etcd/server/v3')}-{platform.machine()}-{pins}"
    return cache_folder() / "kube" / name


def _found() -> Path | None:
    """A folder of links to programs of `KUBEBUILDER_ASSETS` or PATH; None where one is missing or too old."""
    path = os.pathsep.join(filter(None, (os.environ.get("KUBEBUILDER_ASSETS"), os.environ.get("PATH"))))
    found = {name: shutil.which(name, path=path) for name in ("etcd", *KUBERNETES)}
    versions = {name: _version(program) for name, program in found.items() if program}
    if len(versions) < len(found) or versions["etcd"] < OLDEST_ETCD:
        return None
    kubernetes = {versions[name][:2] for name in KUBERNETES}
    if len(kubernetes) > 1 or kubernetes.pop() < OLDEST_KUBERNETES:
        return None
    folder = cache_folder() / "kube" / f"found-{hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, program in found.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(str(program))
    return folder


def _version(program: str) -> tuple[int, ...]:
    option = {"kubectl": ["version", "--client"]}.get(Path(program).name, ["--version"])
    said = subprocess.run([program, *option], capture_output=True, text=True, timeout=30, check=False).stdout
    number = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in number.groups()) if number else (0,)


def _build(folder: Path) -> Path:
    _require_go()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another checkout may be building the same
        if (folder / "etcd").exists():
            return folder
        for half in folder.parent.glob(".building-*"):
            shutil.rmtree(half)
        # Moved into place as a whole: a build that is interrupted leaves nothing that looks finished.
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES]
        print(f"Building Kubernetes {kubernetes_version()} and etcd; kept in {folder}.", flush=True)
        command = [
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            _stamp(),
            "-o",
            f"{work}/",
            "go.etcd.io/etcd/server/v3",
            *packages,
        ]
        environment = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly " + os.environ.get("GOFLAGS", "")}
        built = subprocess.run(["nice", "-n", "10", *command], cwd=FOLDER, env=os.environ | environment, check=False)
        if built.returncode:
            shutil.rmtree(work)
            raise ClusterError(
                f"Kubernetes could not be built: {' '.join(command[:2])} … ended with {built.returncode}."
            )
        (work / "v3").rename(work / "etcd") if (work / "v3").exists() else (work / "server").rename(work / "etcd")
        work.rename(folder)
    return folder


def _require_go() -> None:
    why = "The test cluster needs Kubernetes' programs in KUBEBUILDER_ASSETS or on PATH, or Go 1.26 to build them"
    if not shutil.which("go"):
        raise ClusterError(f"{why}; there is no go.")
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    number = re.match(r"go(\d+)\.(\d+)", said)
    if not number or (int(number[1]), int(number[2])) < OLDEST_GO:
        raise ClusterError(f"{why}; go is {said or 'of unknown version'}.")


def _stamp() -> str:
    """Linker flags that tell the programs their version, which Kubernetes' own build does otherwise."""
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    fields = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {p}.{field}={value}" for p in packages for field, value in fields.items())])
