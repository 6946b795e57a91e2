"""`netmesh-agent`: translates options and environment into settings, and serves."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from netmesh_agent.app import CannotStart, serve
from netmesh_agent.settings import HTTP_PORT, STAMP_PORT, TOOL_PORTS, Limits, Settings
from netmesh_common import logs
from netmesh_common.tls import CertificateError
from netmesh_common.units import parse_rate


def _ports(text: str) -> tuple[int, ...]:
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    ports = tuple(range(int(found[1]), int(found[2] or found[1]) + 1)) if found else ()
    if not ports or not (ports[0] > 0 and ports[-1] < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not a range of ports such as 61863-61870")
    return ports


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port from 1 to 65535, nor 0 for any")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def _rate(text: str) -> int:
    try:
        return parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _one_of(*known: str) -> Callable[[str], str]:
    # Not argparse's choices: those do not look at a default that comes from the environment.
    def check(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(known)}")
        return text

    return check


def _listen(text: str) -> str:
    address, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(address.strip("[]"))
        if not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError
    except ValueError:
        sentence = f"'{text}' is not ADDRESS:PORT, such as [::]:9410 or 10.0.0.7:9410"
        raise argparse.ArgumentTypeError(sentence) from None
    return text


def _addresses(text: str) -> tuple[str, ...]:
    # Kubernetes separates status.podIPs by commas.
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        versions = [ipaddress.ip_address(part).version for part in parts]
        if len(versions) != len(set(versions)):
            raise ValueError
    except ValueError:
        sentence = f"'{text}' is not one IP address a family, such as 10.0.0.7,fd00::7"
        raise argparse.ArgumentTypeError(sentence) from None
    return tuple(parts)


def _port_or_none(text: str) -> int | None:
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port, nor 0 for none")
    return int(text) or None


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, without the dozen lines of all options before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help shows all options)\n")


def parser() -> argparse.ArgumentParser:
    """The command line; each option's default can come from the environment variable NETMESH_<OPTION>."""
    limits = Limits()
    result = _Parser(prog="netmesh-agent", description="Measures for the netmesh controller.")

    def option(name: str, default: str | None, help_text: str, **kwargs: object) -> None:
        variable = "NETMESH_" + name.upper().replace("-", "_")
        value = os.environ.get(variable, default)
        text = f"{help_text} [{variable}{f', default {default}' if default is not None else ''}]"
        result.add_argument(f"--{name}", default=value, help=text, required=value is None, **kwargs)  # type: ignore[arg-type]  # argparse's own keywords

    option("node", os.uname().nodename, "name of the node")
    option("role", "pod", "what this agent is on its node: pod, peer or host", type=_one_of("pod", "peer", "host"))
    option("listen", "[::]:9410", "ADDRESS:PORT of the gRPC server; tests come to the same address", type=_listen)
    option("addresses", "", "addresses in place of --listen's, one a family: 10.0.0.7,fd00::7", type=_addresses)
    option("certificates", None, "folder with ca.crt, tls.crt and tls.key", type=Path)
    option(
        "await-certificates",
        "no",
        "yes: without certificates, wait until they are there (not ready meanwhile) instead of ending",
        type=_one_of("yes", "no"),
    )
    option("http-port", str(HTTP_PORT), "port of /healthz, /readyz and /metrics; 0: none", type=_port_or_none)
    option("tool-ports", f"{TOOL_PORTS[0]}-{TOOL_PORTS[-1]}", "ports for server sides", type=_ports)
    option("stamp-port", str(STAMP_PORT), "UDP port of the STAMP reflector, 0 for any", type=_port)
    option("max-seconds", str(limits.seconds), "longest test, omitted seconds included", type=_positive)
    option("max-streams", str(limits.streams), "most streams of a test", type=_positive)
    option("max-rate", "", "highest rate that a bandwidth test may offer, such as 1G; empty: no limit")
    option("log-level", "info", "debug, info, warning or error", type=_one_of("debug", "info", "warning", "error"))
    return result


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that a parsed command line means; argparse.ArgumentTypeError names a wrong rate."""
    return Settings(
        node=arguments.node,
        certificates=arguments.certificates,
        role=arguments.role,
        listen=arguments.listen,
        addresses=arguments.addresses,
        http_port=arguments.http_port,
        await_certificates=arguments.await_certificates == "yes",
        tool_ports=arguments.tool_ports,
        stamp_port=arguments.stamp_port,
        limits=Limits(
            seconds=arguments.max_seconds,
            streams=arguments.max_streams,
            bits_per_second=_rate(arguments.max_rate) if arguments.max_rate else None,
        ),
    )


def main() -> None:
    """Entry point; exit code 1 where the agent could not run, 2 for a wrong command line."""
    command_line = parser()
    arguments = command_line.parse_args()
    logs.set_up(arguments.log_level)
    try:
        settings = settings_from(arguments)
    except argparse.ArgumentTypeError as error:
        command_line.error(f"argument --max-rate: {error}")
    try:
        asyncio.run(serve(settings))
    except (CannotStart, CertificateError) as error:
        print(f"netmesh-agent: {error}", file=sys.stderr)  # the command line's answer
        sys.exit(1)


if __name__ == "__main__":
    main()
