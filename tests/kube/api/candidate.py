"""A controller's part in the election, as a process: prints when it leads and when it stands by."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from netmesh_controller.clients.cluster import connect
from netmesh_controller.clients.cluster.lease import Lease


async def main(kubeconfig: str, namespace: str, identity: str) -> None:
    """Takes part until SIGTERM."""

    async def lead(term: int) -> None:
        print("leads", term, flush=True)

    async def stand_by(leader: str | None) -> None:
        print("stands by", leader, flush=True)

    async with await connect(kubeconfig=Path(kubeconfig), namespace=namespace) as cluster:
        task = asyncio.create_task(Lease(cluster, identity).run(lead, stand_by))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        print("takes part", flush=True)
        await asyncio.wait([task])


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:]))
