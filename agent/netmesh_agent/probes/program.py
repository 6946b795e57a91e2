"""What every program of this package does alike: arguments in, one JSON object out, SIGTERM, errors with a code."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping

Options = Mapping[str, str]
Role = Callable[[Options], dict[str, object]]

# Reason code and meaning by errno(3); what is not listed is `tool_failed` in the kernel's words.
_MEANINGS: Mapping[int, tuple[str, str]] = {
    errno.ECONNREFUSED: ("refused", "nothing listens at the server's port, or a firewall refuses"),
    errno.EACCES: ("refused", "a firewall of this node does not let it out"),
    errno.EPERM: ("refused", "a firewall of this node does not let it out"),
    errno.ETIMEDOUT: ("timeout", "the other side did not answer in time"),
    errno.EAGAIN: ("timeout", "the other side did not answer in time"),
    # What a blocking connect says when SO_SNDTIMEO is over, socket(7).
    errno.EINPROGRESS: ("timeout", "the other side did not answer in time"),
    errno.ENETUNREACH: ("unreachable", "there is no way to the server"),
    errno.EHOSTUNREACH: ("unreachable", "there is no way to the server"),
    errno.ENETDOWN: ("unreachable", "the network device is down"),
    errno.EADDRINUSE: ("busy", "another program holds the port"),
    errno.EADDRNOTAVAIL: ("tool_failed", "no local port is free towards the server, or the address is not this node's"),
    errno.EMFILE: ("tool_failed", "too many connections wait for an answer: no file descriptor is free"),
    errno.ECONNRESET: ("tool_failed", "the other side ended the connection in mid-test"),
    errno.EPIPE: ("tool_failed", "the other side ended the connection in mid-test"),
}


class ProbeError(Exception):
    """Why there is no result: a reason code and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Ended(Exception):  # noqa: N818  # the way in which a server's work ends, no error of it
    """SIGTERM came."""


def main(server: Role, client: Role) -> None:
    """Runs the role that the command line names, prints what it returns, and exits: 0, or 1 after an error."""
    signal.signal(signal.SIGTERM, _end)
    try:
        role, options = parse(sys.argv[1:])
        result = {"server": server, "client": client}[role](options)
    except ProbeError as error:
        result = _error(error.code, error.message)
    except Ended:
        result = _error("cancelled", "ended before the test was over; what was measured until then is thrown away")
    except OSError as error:
        result = _error(*meaning(error))
    # From here on SIGTERM must not cut the answer in two.
    signal.signal(signal.SIGTERM, _go_on)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit("error" in result)


def _end(number: int, frame: object) -> None:
    del number, frame
    # timeout(1) passes on what its group got already: the signal comes twice.
    signal.signal(signal.SIGTERM, _go_on)
    raise Ended


def _go_on(number: int, frame: object) -> None:
    # A function, not SIG_IGN: Python complains on stderr of a signal that came just before it was ignored.
    del number, frame


def _error(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def meaning(error: OSError) -> tuple[str, str]:
    """Reason code and sentence for an error of the kernel."""
    number = error.errno or 0
    said = os.strerror(number)
    code, sentence = _MEANINGS.get(number, ("tool_failed", "the kernel refused"))
    return code, f"{sentence} ({said})"


def parse(arguments: list[str]) -> tuple[str, Options]:
    """`ROLE --name value …` as the role and its options; ProbeError where it is not that."""
    role, *rest = arguments or [""]
    names, values = rest[::2], rest[1::2]
    if role not in {"server", "client"} or len(names) != len(values) or not all(n.startswith("--") for n in names):
        raise ProbeError("tool_failed", "usage: server|client --address ADDRESS --port PORT …")
    return role, {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}


def text(options: Options, name: str) -> str:
    """The option's value; ProbeError where it is missing."""
    if name not in options:
        raise ProbeError("tool_failed", f"--{name} is missing")
    return options[name]


def whole(options: Options, name: str, default: int | None = None) -> int:
    """The option's value as a whole number from 0 on."""
    value = str(default) if default is not None and name not in options else text(options, name)
    if not (value.isascii() and value.isdigit()):
        raise ProbeError("tool_failed", f"--{name} is a whole number, not '{value:.20}'")
    return int(value)


def endpoint(options: Options) -> tuple[int, tuple[str, int]]:
    """The address family and the (address, port) that `--address` and `--port` name."""
    address = text(options, "address")
    return socket.AF_INET6 if ":" in address else socket.AF_INET, (address, whole(options, "port"))


def listener(options: Options) -> socket.socket:
    """A TCP socket that listens, with the longest queue that the node allows."""
    family, where = endpoint(options)
    # The kernel cuts the queue to net.core.somaxconn; create_server sets SO_REUSEADDR.
    return socket.create_server(where, family=family, backlog=65_535)
