"""The identity of a mesh in Kubernetes: Secrets that the controller makes on its first start, and renews."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Mapping

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_common.tls import CertificateError, Certificates
from netmesh_controller.clients.cluster import Cluster, ClusterError, Conflict
from netmesh_controller.clients.cluster.errors import Forbidden, NotFound
from netmesh_controller.clients.cluster.rights import may
from netmesh_controller.clients.cluster.secrets import Secret, read_secret, write_secret
from netmesh_controller.identity.certificates import Pair, pair_from
from netmesh_controller.identity.rotation import Identities, Lifetimes, authorities_from, next_due, renewed

log = logging.getLogger(__name__)

CA_SECRET, AGENT_SECRET, CONTROLLER_SECRET = "netmesh-ca", "netmesh-agent", "netmesh-controller"
# A Secret that somebody removed is made again within this time.
CHECK_SECONDS = 600.0
AGAIN_SECONDS = 5.0
# How often it is asked whether the host agents' namespace is there: rights cannot be watched.
HOST_SECONDS = 10.0


class IdentityKeeper:
    """Makes and renews authorities and certificates; used as an asynchronous context.

    Several controllers may do so at once: each Secret is changed only as it was read, and the authorities' Secret is
    written first, so that all agree on them.
    """

    def __init__(self, cluster: Cluster, lifetimes: Lifetimes | None = None) -> None:
        self._cluster = cluster
        self._lifetimes = lifetimes or Lifetimes()
        self._now: Identities | None = None
        self._ready = asyncio.Event()
        self._why = "they are being made"
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> IdentityKeeper:
        self._task = guarded_task(self._keep(), name="identity", lasting=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await cancelled(self._task)

    async def ready(self) -> None:
        """Returns once there are certificates."""
        await self._ready.wait()

    def certificates(self) -> Certificates:
        """The controller's certificate as it is now; CertificateError where there is none yet."""
        if self._now is None:
            raise CertificateError(f"certificates: there are none yet: {self._why}")
        pair = self._now.controller
        return Certificates(self._now.bundle, pair.certificate_pem, pair.key_pem)

    async def _keep(self) -> None:
        check_at = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        while True:
            now = datetime.datetime.now(datetime.UTC)
            wait = HOST_SECONDS
            try:
                if now >= check_at:
                    due = await self._check(now)
                    check_at = min(due, now + datetime.timedelta(seconds=CHECK_SECONDS))
                    self._ready.set()
                await self._give_to_hosts()
                wait = min(wait, (check_at - datetime.datetime.now(datetime.UTC)).total_seconds())
            except Conflict as conflict:
                log.info("another controller was first: %s", conflict)
                wait = 0.0
            except ClusterError as error:
                self._why = str(error)
                log.warning("certificates cannot be checked: %s", error)
                wait = AGAIN_SECONDS
            await asyncio.sleep(max(wait, 0.05))

    async def _check(self, now: datetime.datetime) -> datetime.datetime:
        """Reads the three Secrets, writes those that are due; when to look again."""
        namespace = self._cluster.namespace
        secrets = {
            name: await read_secret(self._cluster, namespace, name)
            for name in (CA_SECRET, AGENT_SECRET, CONTROLLER_SECRET)
        }
        fresh = renewed(
            _authorities(secrets[CA_SECRET]),
            _pair(secrets[AGENT_SECRET]),
            _pair(secrets[CONTROLLER_SECRET]),
            now,
            self._lifetimes,
        )
        wanted: dict[str, Mapping[str, bytes]] = {
            CA_SECRET: {"ca.crt": fresh.bundle, "ca.key": fresh.keys},
            AGENT_SECRET: _mounted(fresh, fresh.agent),
            CONTROLLER_SECRET: _mounted(fresh, fresh.controller),
        }
        for name, data in wanted.items():
            seen = secrets[name]
            if seen is None or seen.data != data:
                component = "agent" if name == AGENT_SECRET else "controller"
                kind = "Opaque" if name == CA_SECRET else "kubernetes.io/tls"
                await write_secret(self._cluster, namespace, name, data, kind=kind, component=component, seen=seen)
                log.info("%s %s", "made" if seen is None else "renewed", name)
        self._now = fresh
        return next_due(fresh, now, self._lifetimes)

    async def _give_to_hosts(self) -> None:
        """The agents' certificate for the host agents' namespace, where there is one that this account may write to.

        Looked for each time: the namespace may have been removed meanwhile, and made again.
        """
        if self._now is None:
            return
        namespace = f"{self._cluster.namespace}-host"
        if not await may(self._cluster, "create", "secrets", namespace):
            return
        data = _mounted(self._now, self._now.agent)
        try:
            seen = await read_secret(self._cluster, namespace, AGENT_SECRET)
            if seen is None or seen.data != data:
                await write_secret(
                    self._cluster, namespace, AGENT_SECRET, data, kind="kubernetes.io/tls", component="host", seen=seen
                )
        except (Forbidden, NotFound) as error:
            log.info("the host agents' namespace is being removed: %s", error)


def _mounted(known: Identities, pair: Pair) -> dict[str, bytes]:
    return {"ca.crt": known.bundle, "tls.crt": pair.certificate_pem, "tls.key": pair.key_pem}


def _authorities(secret: Secret | None) -> tuple[Pair, ...]:
    if secret is None:
        return ()
    try:
        return authorities_from(secret.data.get("ca.crt", b""), secret.data.get("ca.key", b""))
    except ValueError as error:
        log.warning("%s is not what it was made as, and is made anew: %s", CA_SECRET, error)
        return ()


def _pair(secret: Secret | None) -> Pair | None:
    if secret is None:
        return None
    try:
        return pair_from(secret.data.get("tls.crt", b""), secret.data.get("tls.key", b""))
    except ValueError as error:
        log.warning("a certificate is not what it was made as, and is made anew: %s", error)
        return None
