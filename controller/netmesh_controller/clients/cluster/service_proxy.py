"""The controller in the cluster, reached from anywhere with a kubeconfig: through the API server's service proxy."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from contextlib import suppress

from netmesh_controller.clients.cluster.connection import Cluster
from netmesh_controller.clients.cluster.errors import ClusterError, Conflict, Forbidden, NotFound
from netmesh_controller.clients.cluster.secrets import write_secret
from netmesh_controller.clients.controller import TOKEN_HEADER, Access, ControllerClient, ControllerError, direct

PORT = 9412
SERVICE = f"http:netmesh-controller:{PORT}"
TOKEN_SECRET = "netmesh-token"  # noqa: S105  # the name of a Secret
_KEY = "token"


async def proxied(cluster: Cluster) -> Access:
    """How to reach the controller of that cluster's namespace.

    ClusterError where the API server does not answer, or the token is not to be had. The proxy keeps `Authorization`
    for itself; netmesh's token goes beside it.
    """
    token = await read_token(cluster)

    async def headers() -> Mapping[str, str]:
        return {**await cluster.headers(), TOKEN_HEADER: token}

    url = f"{cluster.server}/api/v1/namespaces/{cluster.namespace}/services/{SERVICE}/proxy"
    return Access(url, headers, cluster.session)


async def in_pod(cluster: Cluster) -> Access:
    """How to reach the controller from a pod of the cluster: in its own pod directly, else by its Service's name."""
    token = await read_token(cluster)
    here = direct(f"http://127.0.0.1:{PORT}", token)
    async with ControllerClient(here) as client:
        try:
            await client.call("GET", "controller", seconds=5)
        except ControllerError:
            return direct(f"http://netmesh-controller.{cluster.namespace}:{PORT}", token)
    return here


async def read_token(cluster: Cluster) -> str:
    """The token of the controller's Secret; ClusterError with a sentence of what is missing."""
    where = f"Secret {TOKEN_SECRET} in namespace {cluster.namespace}"
    try:
        secret = await cluster.call("GET", f"{_secrets(cluster)}/{TOKEN_SECRET}", retry_seconds=5.0)
    except NotFound as error:
        raise NotFound(f"there is no {where}; is netmesh installed there, and its controller ready?", 404) from error
    except Forbidden as error:
        raise Forbidden(f"{where} may not be read with these rights (get, by name): {error}", error.status) from error
    return _token_of(secret, where)


async def ensure_token(cluster: Cluster, token: str) -> str:
    """The token of the Secret, which is made with `token` where there is none."""
    with suppress(NotFound):
        return await read_token(cluster)
    data = {_KEY: token.encode()}
    with suppress(Conflict):
        await write_secret(
            cluster, cluster.namespace, TOKEN_SECRET, data, kind="Opaque", component="controller", seen=None
        )
    # What is there counts, whoever made it.
    return await read_token(cluster)


def _secrets(cluster: Cluster) -> str:
    return f"/api/v1/namespaces/{cluster.namespace}/secrets"


def _token_of(secret: Mapping[str, object], where: str) -> str:
    data = secret.get("data")
    try:
        encoded = data[_KEY] if isinstance(data, dict) else ""
        token = base64.b64decode(encoded, validate=True).decode().strip()
    except (KeyError, binascii.Error, UnicodeDecodeError):
        token = ""
    if not token:
        raise ClusterError(f"{where} has no '{_KEY}'")
    return token
