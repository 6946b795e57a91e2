"""Certificates that are renewed while a sweep runs cost no cell."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from cryptography import x509
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import NAMESPACE, Netmesh, gaps

pytestmark = pytest.mark.timeout(1200)


def _serials(netmesh: Netmesh) -> dict[str, int]:
    """Serial numbers of the certificates by the Secret that holds them."""
    serials = {}
    for name in ("netmesh-agent", "netmesh-controller"):
        data = netmesh.cluster.get("secret", name, "-n", NAMESPACE)["data"]
        serials[name] = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"])).serial_number
    return serials


def _authority(netmesh: Netmesh) -> str:
    """The authorities that are known, in PEM."""
    data: dict[str, str] = netmesh.cluster.get("secret", "netmesh-agent", "-n", NAMESPACE)["data"]
    return base64.b64decode(data["ca.crt"]).decode()


LIFETIMES = {
    "NETMESH_CERTIFICATE_LIFETIME": "3m",
    "NETMESH_AUTHORITY_LIFETIME": "6m",
    "NETMESH_AUTHORITY_SETTLE": "1m",
}
"""Renewed after two thirds: certificates in 2 minutes, the authority in 4, and it signs in 5."""


@pytest.fixture
def hasty(netmesh: Netmesh) -> Iterator[Netmesh]:
    """netmesh whose certificates were just made and are good for minutes."""
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
    cluster.kubectl("set", "env", *deployment, *(f"{name}-" for name in LIFETIMES))
    netmesh.wait_ready()


def _answers(netmesh: Netmesh) -> bool:
    answer = netmesh("sweep", "--tests", "tcp-connect", "--duration", "1s", "--format", "json")
    return answer.code == 0


def test_certificates_that_are_renewed_under_load_cost_no_cell(hasty: Netmesh) -> None:
    before, authority = _serials(hasty), _authority(hasty)
    options = ("--tests", "tcp-connect,udp-latency", "--tool", "qperf", "--duration", "2s", "--repeat", "9")
    document = hasty.sweep(*options)
    assert gaps(document) == []
    after = _serials(hasty)
    assert {name for name in before if before[name] != after[name]} == set(before)
    assert _authority(hasty) != authority
    pods = [pod for component in ("agent", "peer") for pod in hasty.pods(component).values()]
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {0}
