"""ICMP echoes: `python echo.py ADDRESS` prints the round trip of each, in seconds, as ping(8) takes it.

ping sends 56 bytes of data and stops the time from its sending to the answer's arrival in the process. Here an echo
leaves every 10 ms, and lost ones are left out.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

ECHOES = 200
_APART_SECONDS = 0.01
_REQUEST, _REPLY = 8, 0
_IP_HEADER_BYTES = 20


def main(address: str) -> None:
    """Prints the times, the first answer's left out: it waited for ARP."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.connect((address, 0))
        sock.settimeout(1)
        for number in range(ECHOES + 1):
            taken = _echo(sock, number)
            if number and taken is not None:
                print(taken)
            time.sleep(_APART_SECONDS)


def _echo(sock: socket.socket, number: int) -> float | None:
    packet = _packet(number)
    began = time.perf_counter()
    sock.send(packet)
    try:
        while True:
            answer = sock.recv(256)
            taken = time.perf_counter() - began
            kind, _, _, _, sequence = struct.unpack_from("!BBHHH", answer, _IP_HEADER_BYTES)
            if (kind, sequence) == (_REPLY, number):
                return taken
    except TimeoutError:
        return None


def _packet(number: int) -> bytes:
    data = bytes(56)
    # All else is 0, so that the checksum is of the type and the number alone (RFC 792, RFC 1071).
    checksum = ~((_REQUEST << 8) + number) & 0xFFFF
    return struct.pack("!BBHHH", _REQUEST, 0, checksum, 0, number) + data


if __name__ == "__main__":
    main(sys.argv[1])
