"""Authorities and the certificates of both ends. Profile after RFC 5280 §4.2; ECDSA on P-256.

The roles cannot be exchanged: the agents' certificate is good for serving only (`agent.netmesh`), the controller's
for calling only (`controller.netmesh`). Names instead of addresses: agents move, so the controller checks the name
`agent.netmesh` whatever address it dials.
"""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AGENT_NAME = "agent.netmesh"
CONTROLLER_NAME = "controller.netmesh"
# Machines whose clock is a little behind must accept a certificate made just now.
CLOCK_SKEW = datetime.timedelta(minutes=5)
_USAGES = {AGENT_NAME: ExtendedKeyUsageOID.SERVER_AUTH, CONTROLLER_NAME: ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM (PKCS #8), not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def made_at(self) -> datetime.datetime:
        """When it was made."""
        return self.certificate.not_valid_before_utc + CLOCK_SKEW

    @property
    def ends_at(self) -> datetime.datetime:
        """When it is no longer valid."""
        return self.certificate.not_valid_after_utc

    def renew_at(self, share: float = 2 / 3) -> datetime.datetime:
        """When that share of its time has passed."""
        return self.made_at + (self.ends_at - self.made_at) * share

    def is_signed_by(self, authority: Pair) -> bool:
        """Whether the authority's key made its signature."""
        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def pair_from(certificate_pem: bytes, key_pem: bytes) -> Pair:
    """A pair out of PEM; ValueError where it is none, or the two do not belong together."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("the key is not that of the certificate")
    return Pair(certificate, key)


def new_authority(now: datetime.datetime, lifetime: datetime.timedelta) -> Pair:
    """A self-signed authority; it signs leaves only (path length 0).

    Its name is its own: two authorities overlap while one takes over from the other.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"netmesh CA {secrets.token_hex(4)}")
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - CLOCK_SKEW, now + lifetime
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def issue(dns_name: str, authority: Pair, now: datetime.datetime, lifetime: datetime.timedelta) -> Pair:
    """The certificate of one end, `AGENT_NAME` or `CONTROLLER_NAME`; never valid for longer than its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder(
            authority.certificate.subject,
            _name(dns_name),
            key.public_key(),
            x509.random_serial_number(),
            max(now - CLOCK_SKEW, authority.certificate.not_valid_before_utc),
            min(now + lifetime, authority.ends_at),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[dns_name]]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns_name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


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
