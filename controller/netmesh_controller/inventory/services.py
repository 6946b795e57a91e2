"""What a source of agents offers that can put Services in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class MakerError(Exception):
    """A Service could not be made; the message says why."""


class ServiceMaker(Protocol):
    """Who can make Services: the cluster that the agents are in."""

    async def make(self, name: str, run: str, node: str, addresses: Mapping[int, str]) -> Mapping[int, str]:
        """Makes a Service and returns its virtual addresses by family; MakerError where it cannot be had."""
        ...

    async def remove(self, name: str) -> None:
        """Removes it; what cannot be removed now is told in the log and found by the next start."""
        ...
