"""The certificates of a mesh outside Kubernetes: who may do what, and that nobody else can read the keys."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from netmesh_controller.identity import AGENT_NAME, CONTROLLER_NAME, IdentityError, make_identity


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("identity") / "new"
    make_identity(directory)
    return directory


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_files_and_modes(identity: Path) -> None:
    files = {str(path.relative_to(identity)): path.stat().st_mode & 0o777 for path in identity.rglob("*.*")}
    keys = {name: mode for name, mode in files.items() if name.endswith(".key")}
    assert keys == {"ca.key": 0o600, "agent/tls.key": 0o600, "controller/tls.key": 0o600}
    assert files.keys() - keys.keys() == {
        "ca.crt",
        "agent/ca.crt",
        "agent/tls.crt",
        "controller/ca.crt",
        "controller/tls.crt",
    }


@pytest.mark.parametrize(
    ("folder", "name", "usage"),
    [
        ("agent", AGENT_NAME, ExtendedKeyUsageOID.SERVER_AUTH),
        ("controller", CONTROLLER_NAME, ExtendedKeyUsageOID.CLIENT_AUTH),
    ],
)
def test_profile(identity: Path, folder: str, name: str, usage: x509.ObjectIdentifier) -> None:
    authority = certificate(identity / "ca.crt")
    leaf = certificate(identity / folder / "tls.crt")
    leaf.verify_directly_issued_by(authority)
    extensions = leaf.extensions
    assert extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [
        name
    ]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert (
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        == authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    )
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 365


def context(side: ssl.Purpose, folder: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(side, cafile=str(folder / "ca.crt"))
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT  # RFC 5280 without concessions
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return made


def handshake(server: Path, client: Path) -> None:
    """Both ends check each other; raises what the one that refuses raised."""
    here, there = socket.socketpair()
    refused: list[BaseException] = []

    def serve() -> None:
        try:
            with context(ssl.Purpose.CLIENT_AUTH, server).wrap_socket(there, server_side=True) as secured:
                secured.sendall(b"x")
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with context(ssl.Purpose.SERVER_AUTH, client).wrap_socket(here, server_hostname=AGENT_NAME) as secured:
            assert secured.recv(1) == b"x" or refused
    except OSError as error:
        refused.append(error)
    finally:
        here.close()
        there.close()
        thread.join()
    if refused:
        raise refused[0]


def test_both_ends_accept_each_other(identity: Path) -> None:
    handshake(identity / "agent", identity / "controller")


def test_roles_cannot_be_exchanged(identity: Path) -> None:
    with pytest.raises(OSError, match=r"(?i)certificate|unsuitable"):
        handshake(identity / "controller", identity / "agent")
    with pytest.raises(OSError, match=r"(?i)certificate|unsuitable"):
        handshake(identity / "agent", identity / "agent")


def test_another_authority_is_refused(identity: Path, tmp_path: Path) -> None:
    make_identity(tmp_path)
    with pytest.raises(OSError, match=r"(?i)certificate|unknown ca|decrypt"):
        handshake(identity / "agent", tmp_path / "controller")


def test_an_authority_is_never_overwritten(identity: Path) -> None:
    before = (identity / "ca.key").read_bytes()
    with pytest.raises(IdentityError, match=r"ca\.crt is there already"):
        make_identity(identity)
    assert (identity / "ca.key").read_bytes() == before


def test_what_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdentityError, match="Cannot write"):
        make_identity(tmp_path / "file" / "identity")
    with pytest.raises(IdentityError, match="at least 1 day"):
        make_identity(tmp_path / "x", days=0)
