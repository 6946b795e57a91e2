"""Certificates of a mesh that is not in Kubernetes, as files: one authority, one agent, one controller certificate."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from netmesh_common.errors import CouldNotRunError
from netmesh_controller.identity.certificates import AGENT_NAME, CONTROLLER_NAME, Pair, issue, new_authority


class IdentityError(CouldNotRunError):
    """The certificates could not be made; the text is a sentence for a person."""


def make_identity(directory: Path, *, days: int = 365) -> None:
    """Writes an authority and both ends' certificates, ECDSA on P-256, valid for `days` days.

    The files: `ca.crt` and `ca.key` in `directory`; `ca.crt`, `tls.crt` and `tls.key` in `directory/agent` and
    `directory/controller`. Keys are readable by their owner only.
    IdentityError where an authority is there already, or the folder cannot be written.
    """
    if days < 1:
        raise IdentityError(f"Certificates must be valid for at least 1 day, not {days}.")
    for existing in (directory / "ca.crt", directory / "ca.key"):
        if existing.exists():
            raise IdentityError(
                f"{existing} is there already: a new authority would lock out every agent that trusts this one; "
                "name another folder, or remove this one first."
            )
    now, lifetime = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=days)
    authority = new_authority(now, lifetime)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_key(directory / "ca.key", authority)
        (directory / "ca.crt").write_bytes(authority.certificate_pem)
        for folder, name in (("agent", AGENT_NAME), ("controller", CONTROLLER_NAME)):
            pair = issue(name, authority, now, lifetime)
            (directory / folder).mkdir(exist_ok=True)
            _write_key(directory / folder / "tls.key", pair)
            (directory / folder / "tls.crt").write_bytes(pair.certificate_pem)
            (directory / folder / "ca.crt").write_bytes(authority.certificate_pem)
    except OSError as error:
        raise IdentityError(f"Cannot write {error.filename or directory}: {error.strerror}.") from error


def _write_key(path: Path, pair: Pair) -> None:
    """Writes a new file that nobody else could have opened in between; FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pair.key_pem)
