"""Agents from the command line or from a file: `--agents FILE|HOST:PORT,…`."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from typing import Any

from netmesh_controller.inventory.located import InventoryError, Located
from netmesh_controller.mesh.yamltext import YamlTextError, loaded

_KEYS = {"address", "zone", "labels"}


async def static_agents(text: str) -> list[Located]:
    """The agents that `text` names: a YAML file (a list of addresses, or of {address, zone, labels}), or addresses
    separated by commas.

    Raises InventoryError for a file that cannot be read, a wrong field, or a name that does not resolve.
    """
    entries = _from_file(Path(text)) if _is_file(text) else [Located(part.strip()) for part in text.split(",")]
    if not entries:
        raise InventoryError(f"agents: {text} names no agent")
    return [await _resolved(entry) for entry in entries]


def _is_file(text: str) -> bool:
    return "," not in text and (Path(text).exists() or text.endswith((".yaml", ".yml")))


def _from_file(path: Path) -> list[Located]:
    try:
        content = loaded(path.read_text())
    except OSError as error:
        raise InventoryError(f"agents: {path} cannot be read: {error.strerror}") from error
    except (YamlTextError, UnicodeDecodeError) as error:
        raise InventoryError(f"agents: {path} is not YAML: {error}") from error
    if isinstance(content, dict) and set(content) == {"agents"}:
        content = content["agents"]
    if not isinstance(content, list):
        raise InventoryError(f"agents: {path} is a list of addresses, or of mappings with address, zone and labels")
    return [_entry(entry, f"agents[{number}]") for number, entry in enumerate(content)]


def _entry(entry: Any, where: str) -> Located:
    if isinstance(entry, str):
        return Located(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise InventoryError(f"{where}: is HOST:PORT, or a mapping with address, zone and labels")
    wrong = set(entry) - _KEYS
    if wrong:
        raise InventoryError(f"{where}.{min(wrong)}: there is no such field; there are {sorted(_KEYS)}")
    labels = entry.get("labels") or {}
    if not (isinstance(labels, dict) and all(isinstance(text, str) for text in (*labels, *labels.values()))):
        raise InventoryError(f"{where}.labels: is a mapping of strings to strings")
    zone = entry.get("zone")
    if not (zone is None or isinstance(zone, str)):
        raise InventoryError(f"{where}.zone: is a string")
    return Located(entry["address"], zone=zone, labels=labels)


async def _resolved(entry: Located) -> Located:
    """The entry with an IP address, so that a name that does not resolve is told before anything starts."""
    host, colon, port = entry.address.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise InventoryError(f"agents: '{entry.address}' is not HOST:PORT, such as 10.0.0.7:9410 or [fd00::7]:9410")
    bare = host.strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(bare, int(port), type=socket.SOCK_STREAM)
        except OSError as error:
            raise InventoryError(f"agents: '{bare}' does not resolve: {error.strerror}") from error
        bare = str(found[0][4][0])
    address = f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
    return Located(address, zone=entry.zone, labels=entry.labels)
