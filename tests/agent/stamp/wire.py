"""Programs that stand beside STAMP in the namespaces of a test: a capture of its packets, and a relay that holds them.

python wire.py capture DEVICE PORT all|in  on SIGTERM: a JSON list of [stamp in ns, source port, payload in hex]
python wire.py relay DEVICE NS DEVICE NS   passes frames between two devices, each direction after so many nanoseconds

A capture of outgoing packets too holds each of them up, a few microseconds, between its own stamp and the driver's.
"""

from __future__ import annotations

import heapq
import json
import select
import signal
import socket
import struct
import sys
import time

SO_TIMESTAMPING, RX_SOFTWARE, SOFTWARE = 37, 1 << 3, 1 << 4
ETH_P_IP, ETH_P_ALL, PACKET_OUTGOING = 0x0800, 3, 4
UDP_AT = 34


def listen(device: str, protocol: int = ETH_P_ALL) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)
    sock.bind((device, protocol))
    sock.setblocking(False)
    return sock


def is_udp(frame: bytes) -> bool:
    return len(frame) > UDP_AT + 8 and frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP


def capture(device: str, port: int, protocol: int) -> None:
    sock = listen(device, protocol)
    found: list[tuple[int, int, str]] = []
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    print("ready", flush=True)
    while not ended:
        # Nobody waits on the socket: to wake someone for each packet would hold the packet up behind its stamp.
        time.sleep(0.02)
        while True:
            try:
                frame, ancillary, _, _ = sock.recvmsg(2048, 256)
            except BlockingIOError:
                break
            source, destination = struct.unpack_from(">HH", frame, UDP_AT) if is_udp(frame) else (0, 0)
            stamps = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING)]
            if port in {source, destination} and stamps:
                seconds, rest = struct.unpack_from("@ll", stamps[0])
                found.append((seconds * 1_000_000_000 + rest, source, frame[UDP_AT + 8 :][:44].hex()))
    json.dump(found, sys.stdout)


def relay(first: str, first_delay: int, second: str, second_delay: int) -> None:
    one, other = listen(first), listen(second)
    ways = {one: (other, first_delay), other: (one, second_delay)}
    held: list[tuple[int, int, socket.socket, bytes]] = []
    count = 0
    print("ready", flush=True)
    while True:
        wait = max(0, held[0][0] - time.monotonic_ns()) / 1e9 if held else None
        for sock in select.select(list(ways), [], [], wait)[0]:
            frame, address = sock.recvfrom(2048)
            target, delay = ways[sock]
            if address[2] == PACKET_OUTGOING:
                continue
            if is_udp(frame):
                # What the sender left to its device to fill in: none, which IPv4 allows.
                frame = frame[: UDP_AT + 6] + b"\0\0" + frame[UDP_AT + 8 :]
            count += 1
            heapq.heappush(held, (time.monotonic_ns() + delay, count, target, frame))
        while held and held[0][0] <= time.monotonic_ns():
            _, _, target, frame = heapq.heappop(held)
            target.send(frame)


if __name__ == "__main__":
    if sys.argv[1] == "capture":
        capture(sys.argv[2], int(sys.argv[3]), ETH_P_ALL if sys.argv[4] == "all" else ETH_P_IP)
    else:
        relay(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
