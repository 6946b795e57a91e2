"""Which controller a command speaks to: one at a URL, or that of the Kubernetes cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from netmesh_common.errors import BadUsageError

if TYPE_CHECKING:
    from netmesh_controller.clients.controller import Access, ControllerClient

TOKEN_VARIABLE = "NETMESH_TOKEN"  # noqa: S105  # the name of a variable
_KUBECONFIG = Path("~/.kube/config").expanduser()


@asynccontextmanager
async def controller_at(url: str | None) -> AsyncIterator[ControllerClient]:
    """The controller at a URL, with the token of NETMESH_TOKEN; without one that of the Kubernetes cluster: in a pod by
    its Service, elsewhere through the API server's proxy, with the token of its Secret.

    BadUsageError where the URL is none or there is no cluster; ClusterError where the token is not to be had.
    """
    # Only here: most commands speak to no controller, and HTTP takes a third of a second to import.
    from netmesh_controller.clients.controller import ControllerClient, direct  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        if url is not None:
            if not url.startswith(("http://", "https://")):
                raise BadUsageError(f"--controller: '{url}' is not a URL such as http://10.0.0.7:9412")
            access = direct(url, os.environ.get(TOKEN_VARIABLE))
        else:
            access = await _of_the_cluster(stack)
        yield await stack.enter_async_context(ControllerClient(access))


def may_have_cluster() -> bool:
    """Whether this user or pod seems to have a Kubernetes cluster at all."""
    return bool(os.environ.get("KUBECONFIG") or os.environ.get("KUBERNETES_SERVICE_HOST")) or _KUBECONFIG.is_file()


async def _of_the_cluster(stack: AsyncExitStack) -> Access:
    # Only here: the client's package takes more than a second to import.
    from netmesh_controller.clients.cluster import ClusterError, connect, in_cluster  # noqa: PLC0415
    from netmesh_controller.clients.cluster.service_proxy import in_pod, proxied  # noqa: PLC0415

    try:
        cluster = await stack.enter_async_context(await connect())
    except ClusterError as error:
        raise BadUsageError(
            "where are the agents? Give --lab N|FILE|NAME, --agents FILE|HOST:PORT,… or --controller URL; "
            f"else they are those of a Kubernetes cluster, but {error}"
        ) from error
    return await (in_pod(cluster) if in_cluster() else proxied(cluster))
