"""The manifests of `deploy/`, put together as `kubectl apply -k` does: that folder is the one truth, in the wheel too.

Of kustomize this knows what the folder uses: resources, patches by strategic merge, ConfigMaps made of files, and tags
and registries of images.
A test holds the result against kubectl's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from netmesh_common.errors import CouldNotRunError

Object = dict[str, Any]

COMPONENTS = ("storage", "postgresql", "prometheus")
HOST_NETWORK = "host-network"
# By which field the entries of a list are one and the same (the merge keys of the Kubernetes API that occur here).
_KEYS = ("name", "mountPath", "containerPort")


class DeploymentError(CouldNotRunError):
    """The manifests are not there, or are not what is understood here."""


def manifests(
    components: Collection[str] = (), *, host_network: bool = False, registry: str | None = None, tag: str | None = None
) -> list[Object]:
    """The objects of the base with these components, namespaces first, and those of host agents where they are asked
    for. `registry` goes before the names of netmesh's images, `tag` in place of this version's.
    """
    root = _root()
    objects, images = _built(root)
    for name in components:
        objects = _with_component(objects, root / "components" / name)
    if host_network:
        more, more_images = _built(root / "overlays" / HOST_NETWORK)
        objects, images = objects + more, {**images, **more_images}
    for thing in objects:
        _set_images(thing, images, registry, tag)
    return sorted(objects, key=lambda thing: thing["kind"] != "Namespace")


def _root() -> Path:
    here = Path(__file__).parent
    for folder in (here / "deploy", here.parents[1] / "deploy"):
        if (folder / "kustomization.yaml").is_file():
            return folder
    raise DeploymentError("the manifests are not part of this installation of netmesh")


def _read(path: Path) -> list[Any]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def _built(folder: Path) -> tuple[list[Object], dict[str, str]]:
    """The objects of a kustomization, and the tags of its images by name."""
    kustomization = _kustomization(folder, {"resources", "images", "patches"})
    objects = [thing for name in kustomization.get("resources", ()) for thing in _read(folder / name)]
    for patch in kustomization.get("patches", ()):
        objects = [*_patched(objects, _read(folder / patch["path"]))]
    return objects, {image["name"]: image["newTag"] for image in kustomization.get("images", ())}


def _kustomization(folder: Path, known: set[str]) -> Object:
    """A folder's kustomization; what would be left out in silence is an error."""
    kustomization: Object
    (kustomization,) = _read(folder / "kustomization.yaml")
    _check_known(folder, kustomization, known | {"apiVersion", "kind"})
    return kustomization


def _check_known(folder: Path, thing: Object, known: set[str]) -> None:
    unknown = set(thing) - known
    if unknown:
        raise DeploymentError(f"{folder.name}/kustomization.yaml: {min(unknown)}: it is not understood here")


def _config_map(folder: Path, asked: Object) -> Object:
    """A ConfigMap whose keys are files, `KEY=FILE` each, under its own name and not one with a hash."""
    _check_known(folder, asked, {"name", "namespace", "files", "options"})
    _check_known(folder, asked["options"], {"disableNameSuffixHash", "labels"})
    if not asked["options"].get("disableNameSuffixHash"):
        raise DeploymentError(
            f"{folder.name}/kustomization.yaml: a ConfigMap's name with a hash is not understood here"
        )
    data = {key: (folder / file).read_text() for key, _, file in (entry.partition("=") for entry in asked["files"])}
    metadata = {"name": asked["name"], "namespace": asked["namespace"], "labels": asked["options"].get("labels", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _with_component(objects: list[Object], folder: Path) -> list[Object]:
    component = _kustomization(folder, {"resources", "patches", "configMapGenerator"})
    added = [thing for name in component.get("resources", ()) for thing in _read(folder / name)]
    added += [_config_map(folder, asked) for asked in component.get("configMapGenerator", ())]
    for patch in component.get("patches", ()):
        objects = [*_patched(objects, _read(folder / patch["path"]))]
    return objects + added


def _patched(objects: Iterable[Object], patches: list[Object]) -> Iterator[Object]:
    left = {_identity(patch): patch for patch in patches}
    for thing in objects:
        patch = left.pop(_identity(thing), None)
        yield thing if patch is None else merged(thing, patch)
    if left:
        raise DeploymentError(f"a patch is for {next(iter(left))}, which is not there")


def _identity(thing: Object) -> tuple[str, str, str]:
    metadata = thing["metadata"]
    return thing["kind"], metadata.get("namespace", ""), metadata["name"]


def merged(base: Any, patch: Any) -> Any:
    """`patch` over `base` as a strategic merge: mappings field by field (null takes a field away), lists whose entries
    have a name entry by entry, all else replaced.
    """
    if isinstance(base, dict) and isinstance(patch, dict):
        result = deepcopy(base)
        for key, value in patch.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(result[key], value) if key in result else deepcopy(value)
        return result
    if isinstance(base, list) and isinstance(patch, list):
        key = next((key for key in _KEYS if all(isinstance(one, dict) and key in one for one in base + patch)), None)
        if key is not None and base:
            return _merged_lists(base, patch, key)
    return deepcopy(patch)


def _merged_lists(base: list[Object], patch: list[Object], key: str) -> list[Object]:
    """What the patch names comes first, in its order, as kustomize has it."""
    there = {one[key]: one for one in base}
    first = [merged(there.pop(one[key], {}), one) for one in patch]
    return [*first, *(deepcopy(one) for one in there.values())]


def _set_images(thing: Object, tags: dict[str, str], registry: str | None, tag: str | None) -> None:
    pod = thing.get("spec", {}).get("template", {}).get("spec", {}) if isinstance(thing.get("spec"), dict) else {}
    for container in [*pod.get("initContainers", ()), *pod.get("containers", ())]:
        name = container["image"]
        if name in tags:
            prefix = f"{registry.rstrip('/')}/" if registry else ""
            container["image"] = f"{prefix}{name}:{tag or tags[name]}"
