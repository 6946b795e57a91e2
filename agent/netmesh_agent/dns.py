"""One question to a name server over UDP (RFC 1035): does it answer, and what?"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
from pathlib import Path

PORT = 53
_RESOLVER = Path("/etc/resolv.conf")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}  # RFC 1035 section 4.1.1
_HEADER = struct.Struct("!HHHHHH")
_TYPE_A, _CLASS_IN, _RECURSION_DESIRED = 1, 1, 0x0100
_IS_RESPONSE, _CODE_MASK = 0x8000, 0x000F


def is_name(text: str) -> bool:
    """Whether it can be asked for; a dot at the end is allowed."""
    name = text.removesuffix(".")
    return len(name) <= 253 and bool(name) and all(_LABEL.fullmatch(label) for label in name.split("."))


def name_server() -> str:
    """The host's first name server, of resolv.conf(5); OSError where there is none."""
    for line in _RESOLVER.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1]
    raise OSError(f"{_RESOLVER} names no server")


def encoded(name: str, number: int) -> bytes:
    """The question for a name's IPv4 addresses."""
    labels = name.removesuffix(".").encode().split(b".")
    question = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    header = _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + question + struct.pack("!HH", _TYPE_A, _CLASS_IN)


def code_of(packet: bytes, number: int) -> str | None:
    """What the answer to that question says, "" where it is well; None where the packet is no answer to it."""
    if len(packet) < _HEADER.size:
        return None
    got, flags, *_ = _HEADER.unpack_from(packet)
    if got != number or not flags & _IS_RESPONSE:
        return None
    code = flags & _CODE_MASK
    return _CODES.get(code, f"code {code}") if code else ""


async def question(server: str, port: int, name: str) -> str:
    """Asks once, and waits without end for the answer's code, "" where it is well; OSError where nobody listens."""
    loop, number = asyncio.get_running_loop(), secrets.randbelow(1 << 16)
    found = await loop.getaddrinfo(server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as asking:
        asking.setblocking(False)
        # Connected: only that server is heard, and a closed port is told.
        await loop.sock_connect(asking, address)
        await loop.sock_sendall(asking, encoded(name, number))
        while True:
            code = code_of(await loop.sock_recv(asking, 4096), number)
            if code is not None:
                return code
