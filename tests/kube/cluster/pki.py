"""The cluster's CA, the certificates of its programs, and kubeconfigs that carry them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .settings import API_PORT, CONTROL_PLANE_V4, CONTROL_PLANE_V6, SERVICE_V4, SERVICE_V6

_DAYS = 3650
_ENCODING = serialization.Encoding.PEM


class Pki:
    """A folder of PEM files: `ca`, `service-accounts`, and a pair of `NAME.crt` and `NAME.key` for each that asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Makes the CA, the service accounts' key and the API server's certificates."""
        self.folder.mkdir(parents=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("netmesh-test-ca", ())
        usage = _key_usage(key_cert_sign=True)
        certificate = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        self._write("ca", key, certificate)
        accounts = ec.generate_private_key(ec.SECP256R1())
        self._write_key("service-accounts", accounts)
        public = accounts.public_key().public_bytes(_ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "service-accounts.pub").write_bytes(public)
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
        addresses = [CONTROL_PLANE_V4, CONTROL_PLANE_V6, SERVICE_V4, SERVICE_V6, "127.0.0.1"]
        self.issue("apiserver", "kube-apiserver", names=[*names, *addresses])
        self.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", groups=("system:masters",))

    def issue(self, file: str, common_name: str, groups: tuple[str, ...] = (), names: list[str] | None = None) -> None:
        """Makes `file`.crt and .key: user `common_name` of `groups`, and server of `names` (DNS or addresses)."""
        ca_key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        ca = x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            _builder(_name(common_name, groups), ca.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(key_cert_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(n) for n in names]), critical=False
            )
        self._write(file, key, builder.sign(ca_key, hashes.SHA256()))

    def kubeconfig(self, file: str, common_name: str, groups: tuple[str, ...] = ()) -> Path:
        """Issues a client certificate and writes `file`.kubeconfig, which holds all that it needs."""
        self.issue(file, common_name, groups)
        server = f"https://{CONTROL_PLANE_V4}:{API_PORT}"
        user = {"client-certificate-data": self._data(f"{file}.crt"), "client-key-data": self._data(f"{file}.key")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": server, "certificate-authority-data": self._data("ca.crt")}}
            ],
            "users": [{"name": file, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": file}}],
            "current-context": "test",
        }
        path = self.folder / f"{file}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))
        return path

    def _data(self, file: str) -> str:
        return base64.b64encode((self.folder / file).read_bytes()).decode()

    def _write(self, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._write_key(file, key)
        (self.folder / f"{file}.crt").write_bytes(certificate.public_bytes(_ENCODING))

    def _write_key(self, file: str, key: ec.EllipticCurvePrivateKey) -> None:
        path = self.folder / f"{file}.key"
        path.touch(mode=0o600)
        plain = serialization.NoEncryption()
        path.write_bytes(key.private_bytes(_ENCODING, serialization.PrivateFormat.PKCS8, plain))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _name(common_name: str, groups: tuple[str, ...]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
