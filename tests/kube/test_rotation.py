"""Certificates that are renewed while a sweep runs cost no cell."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from cryptography import x509
from tests.kube.installed import NAMESPACE, Netmesh, gaps

pytestmark = pytest.mark.timeout(1200)


def _serials(netmesh: Netmesh) -> dict[str, int]:
    """Serial numbers of the certificates by the Secret that holds them."""
    serials = {}
    for name in ("netmesh-agent", "netmesh-controller"):
        data = netmesh.cluster.get("secret", name, "-n", NAMESPACE)["data"]
        serials[name] = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"])).serial_number
    return serials


@pytest.fixture
def hasty(netmesh: Netmesh) -> Iterator[Netmesh]:
    """netmesh whose certificates are good for minutes."""
    deployment = ("deployment/netmesh-controller", "-n", NAMESPACE)
    netmesh.cluster.kubectl("set", "env", *deployment, "NETMESH_CERTIFICATE_LIFETIME=4m")
    netmesh.wait_ready()
    yield netmesh
    netmesh.cluster.kubectl("set", "env", *deployment, "NETMESH_CERTIFICATE_LIFETIME-")
    netmesh.wait_ready()


def test_certificates_that_are_renewed_under_load_cost_no_cell(hasty: Netmesh) -> None:
    before = _serials(hasty)
    options = ("--tests", "tcp-connect,udp-latency", "--tool", "qperf", "--duration", "2s", "--repeat", "8")
    document = hasty.sweep(*options)
    assert gaps(document) == []
    after = _serials(hasty)
    assert {name for name in before if before[name] != after[name]} == set(before)
    pods = [pod for component in ("agent", "peer") for pod in hasty.pods(component).values()]
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {0}
