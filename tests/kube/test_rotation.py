"""Certificates and their authority that are renewed while sweeps run cost no cell."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import HOST_NAMESPACE, HOST_NETWORK, NAMESPACE, Netmesh, gaps

pytestmark = pytest.mark.timeout(1200)


SECRETS = ((NAMESPACE, "netmesh-agent"), (NAMESPACE, "netmesh-controller"), (HOST_NAMESPACE, "netmesh-agent"))


def _held(netmesh: Netmesh, namespace: str, name: str) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate in a Secret, and the authorities that are known beside it, the oldest first."""
    data = netmesh.cluster.get("secret", name, "-n", namespace)["data"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    return certificate, x509.load_pem_x509_certificates(base64.b64decode(data["ca.crt"]))


def _signs(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):  # ValueError: it has another name
        return False
    return True


LOAD_SECONDS = 600
PATHS = ("--paths", "pod-to-pod,host-to-host")
LIFETIMES = {
    "NETMESH_CERTIFICATE_LIFETIME": "2m",
    "NETMESH_AUTHORITY_LIFETIME": "4m",
    "NETMESH_AUTHORITY_SETTLE": "40s",
}
"""Renewed after two thirds: certificates in 80 s, the authority in 160 s, and it signs in 200 s. Kubelets bring them to
pods in 10 to 15 s.
"""


@pytest.fixture
def hasty(netmesh: Netmesh) -> Iterator[Netmesh]:
    """netmesh, with host agents, whose certificates were just made and are good for minutes."""
    netmesh.apply(HOST_NETWORK)
    netmesh.wait_ready(HOST_NAMESPACE)
    deployment = ("deployment/netmesh-controller", "-n", NAMESPACE)
    cluster = netmesh.cluster
    cluster.kubectl("scale", *deployment, "--replicas=0")
    selector = "-lapp.kubernetes.io/component=controller"
    cluster.kubectl("wait", "pod", "-n", NAMESPACE, selector, "--for=delete", "--timeout=60s")
    cluster.kubectl("delete", "secret", "-n", NAMESPACE, "netmesh-ca", "netmesh-agent", "netmesh-controller")
    cluster.kubectl("set", "env", *deployment, *(f"{name}={value}" for name, value in LIFETIMES.items()))
    cluster.kubectl("scale", *deployment, "--replicas=1")
    netmesh.wait_ready()
    wait_until("The agents have read the new authority", lambda: _answers(netmesh), 180, 2)
    yield netmesh
    netmesh.delete(HOST_NETWORK)
    cluster.kubectl("set", "env", *deployment, *(f"{name}-" for name in LIFETIMES))
    netmesh.wait_ready()


def _answers(netmesh: Netmesh) -> bool:
    answer = netmesh("sweep", *PATHS, "--tests", "tcp-connect", "--duration", "1s")
    return answer.code == 0


def test_certificates_that_are_renewed_under_load_cost_no_cell(hasty: Netmesh) -> None:
    _, before = _held(hasty, *SECRETS[0])

    def renewed() -> bool:
        """Whether every certificate is signed by an authority that was not there at first."""
        now = [_held(hasty, *secret) for secret in SECRETS]
        return all(any(_signs(one, held) for one in known if one not in before) for held, known in now)

    options = ("--tests", "tcp-connect,udp-latency", "--tool", "sockperf", "--no-stamp", "--duration", "1s")
    until = time.monotonic() + LOAD_SECONDS
    while not renewed():
        assert time.monotonic() < until, "not all was renewed"
        assert gaps(hasty.sweep(*PATHS, *options)) == []
    assert gaps(hasty.sweep(*PATHS, *options)) == []
    pods = [pod for component in ("agent", "peer") for pod in hasty.pods(component).values()]
    pods += hasty.pods("host", HOST_NAMESPACE).values()
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {0}
