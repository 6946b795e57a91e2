"""Is a reflector reached? One question, asked again until it is answered: no measurement."""

from __future__ import annotations

import asyncio
import secrets
import socket

from netmesh_agent.stamp.packets import Request, decode_reply, encode_request

# A Service's rules come into effect within some hundred milliseconds; a probe is cheap.
PAUSE_SECONDS = 0.1


async def ask(
    address: str, port: int, ssid: int, *, key: bytes | None = None, timeout_seconds: float
) -> tuple[bool, int]:
    """Whether the reflector at an IP address answers that session within the time, and how often it was asked.

    Each question comes from a source port of its own: what a node's connection tracking decided of an earlier one,
    before a Service had its rules, does not bind it.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_seconds
    asked = 0
    while (left := until - loop.time()) > 0:
        asked += 1
        # What a stranger cannot guess names the question.
        request = Request(secrets.randbits(32), secrets.randbits(64), 0x0101, ssid)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, (address, port))
                await loop.sock_sendall(sock, encode_request(request, key=key))
                async with asyncio.timeout(min(PAUSE_SECONDS * asked, left)):
                    while True:
                        reply = decode_reply(await loop.sock_recv(sock, 2048), key=key)
                        if reply is not None and reply.sender_stamp == request.stamp:
                            return True, asked
            except TimeoutError:
                continue
            except OSError:
                # Nobody listens yet, or there is no way yet.
                await asyncio.sleep(min(PAUSE_SECONDS, left))
    return False, asked
