"""One source port of a sender: its socket, its batch, and whose answers come to it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from netmesh_agent.stamp import kernel
from netmesh_agent.stamp.datagrams import BATCH, SLOT_BYTES, Incoming, Outgoing, TransmitStamps
from netmesh_agent.stamp.ledger import Ledger
from netmesh_agent.stamp.link import Link
from netmesh_agent.stamp.timestamps import stamp_from_nanoseconds

BUFFER_BYTES = 4 * 1024 * 1024


class SendingPort:
    """Sends the probes of many links from one source port, and reads what comes back.

    `foreign` counts packets that are no answers, `unsent` probes that the kernel refused to send. A packet takes up to
    `slot_bytes`. `before_reading` is called before what came is looked at. One that does not `wake` is read by whoever
    calls `drain`.
    """

    def __init__(
        self,
        family: int,
        address: str,
        port: int,
        *,
        ptp: bool,
        slot_bytes: int = SLOT_BYTES,
        before_reading: Callable[[], None] = lambda: None,
        wakes: bool = True,
    ) -> None:
        self.family = family
        self._ptp = ptp
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self.features = kernel.enable_stamps(self.sock)
            kernel.enlarge_buffer(self.sock, BUFFER_BYTES)
            self.sock.bind((address, port))
        except BaseException:
            self.sock.close()
            raise
        self.number: int = self.sock.getsockname()[1]
        self._descriptor = self.sock.fileno()
        self.foreign = 0
        self.unsent = 0
        self.slot_bytes = slot_bytes
        self._incoming = Incoming(family, header_fields=False, slot_bytes=slot_bytes)
        self._outgoing = Outgoing(family, slot_bytes=slot_bytes)
        self._stamps = TransmitStamps()
        self._links: dict[bytes, Link] = {}
        self._batch: list[Link] = []
        self._sequences = [0] * BATCH
        self._times = [0] * BATCH
        self._filled = 0
        self._ledger: Ledger[Link] = Ledger()
        self._before_reading = before_reading
        self._wakes = wakes
        if wakes:
            asyncio.get_running_loop().add_reader(self._descriptor, self._ready)

    def add(self, link: Link) -> None:
        """Expects answers from that reflector; ValueError where it is expected already, or for too large packets."""
        if link.length > self.slot_bytes:
            raise ValueError(f"there is room for packets of {self.slot_bytes} bytes, not {link.length}")
        if link.name in self._links:
            raise ValueError("this reflector is probed already")
        self._links[link.name] = link

    def remove(self, link: Link) -> None:
        """Expects no more answers."""
        self._links.pop(link.name, None)

    def close(self) -> None:
        """Closes the socket."""
        if self._wakes:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self.sock.close()

    def fill(self, link: Link) -> None:
        """Puts a probe into the batch, which leaves when it is full."""
        slot = self._filled
        outgoing = self._outgoing
        now = time.time_ns()
        stamp = stamp_from_nanoseconds(now, ptp=self._ptp)
        sequence = link.flow.sent(stamp, now)
        link.write(outgoing.payload, slot * outgoing.slot_bytes, sequence, stamp)
        name_bytes = outgoing.name_bytes
        outgoing.names[slot * name_bytes : (slot + 1) * name_bytes] = link.name
        outgoing.iovec_words[2 * slot + 1] = link.length
        self._batch.append(link)
        self._sequences[slot], self._times[slot] = sequence, now
        self._filled = slot + 1
        if self._filled == BATCH:
            self.flush()

    def flush(self) -> None:
        """Sends the batch."""
        count = self._filled
        if not count:
            return
        self._filled = 0
        batch, self._batch = self._batch, []
        failed = self._outgoing.send(self._descriptor, 0, count)
        if failed:
            self.unsent += len(failed)
            # Which numbers were used up is not known: the stamps of this batch go missing.
            kernel.restart_numbering(self.sock)
            self._ledger.restart()
            return
        for link, sequence, when in zip(batch, self._sequences, self._times, strict=False):
            self._ledger.sent(link, sequence, when)
        self._read_stamps()

    def _read_stamps(self) -> None:
        for link, sequence, stamp in self._ledger.stamped(self._stamps.read(self._descriptor)):
            link.flow.transmitted(sequence, stamp)

    def drain(self) -> None:
        """Reads all that waits."""
        while self._ready() == BATCH:
            pass

    def _ready(self) -> int:
        if self._ledger.awaited:
            self._read_stamps()
        incoming = self._incoming
        count = incoming.receive(self._descriptor)
        if not count:
            # A further stamp of a packet, or one of a numbering before: left there, it would wake us again and again.
            self._read_stamps()
            return 0
        self._before_reading()
        now = time.time_ns()
        payload, names, slot_bytes, name_bytes = (
            incoming.payload,
            incoming.names,
            incoming.slot_bytes,
            incoming.name_bytes,
        )
        links = self._links
        for slot, (length, stamp, _, _) in enumerate(incoming.packets(count)):
            link = links.get(bytes(names[slot * name_bytes : (slot + 1) * name_bytes]))
            if link is None or not link.read(payload, slot * slot_bytes, length, stamp, now):
                self.foreign += 1
        return count
