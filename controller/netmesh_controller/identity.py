"""Certificates of a mesh that is not in Kubernetes: one authority, one agent and one controller certificate.

The roles cannot be exchanged: the agents' certificate is good for serving only (`agent.netmesh`), the controller's
for calling only (`controller.netmesh`). Names instead of addresses: agents move, so the controller checks the name
`agent.netmesh` whatever address it dials. Profile after RFC 5280 §4.2.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netmesh_common.errors import CouldNotRunError

AGENT_NAME = "agent.netmesh"
CONTROLLER_NAME = "controller.netmesh"
# Machines whose clock is a little behind must accept a certificate made just now.
CLOCK_SKEW = datetime.timedelta(minutes=5)


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
    now = datetime.datetime.now(datetime.UTC)
    not_before, not_after = now - CLOCK_SKEW, now + datetime.timedelta(days=days)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, not_before, not_after)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_key(directory / "ca.key", authority_key)
        _write_certificate(directory / "ca.crt", authority)
        for folder, name, usage in (
            ("agent", AGENT_NAME, ExtendedKeyUsageOID.SERVER_AUTH),
            ("controller", CONTROLLER_NAME, ExtendedKeyUsageOID.CLIENT_AUTH),
        ):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _leaf(name, usage, key.public_key(), authority, authority_key)
            (directory / folder).mkdir(exist_ok=True)
            _write_key(directory / folder / "tls.key", key)
            _write_certificate(directory / folder / "tls.crt", certificate)
            _write_certificate(directory / folder / "ca.crt", authority)
    except OSError as error:
        raise IdentityError(f"Cannot write {error.filename or directory}: {error.strerror}.") from error


def _authority(
    key: ec.EllipticCurvePrivateKey, not_before: datetime.datetime, not_after: datetime.datetime
) -> x509.Certificate:
    """The self-signed authority; it signs leaves only (path length 0)."""
    name = _name("netmesh CA")
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    dns_name: str,
    usage: x509.ObjectIdentifier,
    public_key: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder(
            authority.subject,
            _name(dns_name),
            public_key,
            x509.random_serial_number(),
            authority.not_valid_before_utc,
            authority.not_valid_after_utc,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns_name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Writes a new file that nobody else could have opened in between; FileExistsError where there is one."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
