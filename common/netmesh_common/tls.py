"""Mutual TLS between the controller and the agents.

A folder holds `ca.crt`, `tls.crt` and `tls.key` in PEM, as a Kubernetes TLS Secret is mounted. Agents serve as
`agent.netmesh`, the controller comes as `controller.netmesh`; channels go to addresses, so the name is overridden.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from netmesh_common.errors import BadUsageError

AGENT_NAME = "agent.netmesh"
CONTROLLER_NAME = "controller.netmesh"

KEEPALIVE_SECONDS = 20
CONNECT_SECONDS = 8
# What a stranger who says nothing, or no TLS, holds a descriptor of an agent for.
HANDSHAKE_SECONDS = 15

# Keepalive must match: a server that is pinged more often than it permits ends the connection (gRPC A8).
_KEEPALIVE = [
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
# What gRPC notes of every call and connection for a debugger that nobody attaches: a tenth of a measurement's CPU time.
_NO_NOTES = [("grpc.enable_channelz", 0), ("grpc.max_channel_trace_event_memory_per_node", 0)]
SERVER_OPTIONS: list[tuple[str, Any]] = [
    *_KEEPALIVE,
    *_NO_NOTES,
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 500),
    ("grpc.so_reuseport", 0),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    # Of one connection; a controller has a handful. What is more waits at its caller.
    ("grpc.max_concurrent_streams", 100),
]
CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    *_KEEPALIVE,
    *_NO_NOTES,
    ("grpc.enable_http_proxy", 0),
    ("grpc.ssl_target_name_override", AGENT_NAME),
    # By default what arrives is answered with a ping that measures the bandwidth-delay product, a tenth of what a
    # call's CPU time is; messages here are small, and seldom more than one is on its way.
    ("grpc.http2.bdp_probe", 0),
    # Each connection keeps a buffer of this size, by default of 16 kB; what is sent to agents is shorter.
    ("grpc.tsi.max_frame_size", 2048),
    # By its name a pause, in truth the least time that an attempt to connect has, handshake included (gRPC core,
    # subchannel.cc): with less, busy machines give up handshakes that are under way and begin them again.
    ("grpc.min_reconnect_backoff_ms", CONNECT_SECONDS * 1000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class CertificateError(BadUsageError):
    """A folder of certificates that cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM bytes of one end's identity."""

    ca: bytes
    chain: bytes
    key: bytes

    @classmethod
    def read(cls, directory: Path) -> Certificates:
        """Reads the folder's three files; CertificateError names the one that is missing or is no PEM."""
        parts = []
        # The kubelet changes all files of a mounted Secret at once by a symbolic link: one look at it for all three.
        swapped = directory / "..data"
        if swapped.is_symlink():
            directory = swapped.resolve()
        for name in ("ca.crt", "tls.crt", "tls.key"):
            path = directory / name
            try:
                data = path.read_bytes()
            except OSError as error:
                raise CertificateError(f"certificates: {path} cannot be read: {error.strerror}") from error
            if not re.search(rb"-----BEGIN [A-Z ]+-----", data):
                raise CertificateError(f"certificates: {path} is not in PEM form")
            parts.append(data)
        return cls(*parts)


def rereading(directory: Path, *, every_seconds: float = 1.0) -> Callable[[], Certificates]:
    """A function that tells the folder's certificates as they are now, looking no more often than `every_seconds`.

    CertificateError where they cannot be read at all; what cannot be read later leaves the last good ones in use.
    """
    seen = Certificates.read(directory)
    read_at = time.monotonic()

    def current() -> Certificates:
        nonlocal seen, read_at
        if time.monotonic() - read_at > every_seconds:
            read_at = time.monotonic()
            with suppress(CertificateError):
                seen = Certificates.read(directory)
        return seen

    return current


def server_credentials(directory: Path) -> grpc.ServerCredentials:
    """Credentials of an agent; only clients with a certificate of the same CA get through.

    The files are read again for each new connection, so that a rotated certificate serves without a restart; one
    that cannot be read leaves the last good one in use.
    """
    seen = Certificates.read(directory)

    def configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(certificates.key, certificates.chain)], root_certificates=certificates.ca
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        try:
            now = Certificates.read(directory)
        except CertificateError:
            return None
        if now == seen:
            return None
        seen = now
        return configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        configuration(seen),
        fetch,  # type: ignore[arg-type]  # None keeps the last one, as gRPC documents; its type stub does not say so
        require_client_authentication=True,
    )


def channel(address: str, certificates: Certificates) -> grpc.aio.Channel:
    """A channel to the agent at `address` ("host:port"), authenticated both ways."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=certificates.ca, private_key=certificates.key, certificate_chain=certificates.chain
    )
    return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


def peer_names(auth_context: Mapping[str, Any]) -> frozenset[str]:
    """The subject alternative names of the other end's verified certificate."""
    return frozenset(name.decode() for name in auth_context.get("x509_subject_alternative_name", ()))
