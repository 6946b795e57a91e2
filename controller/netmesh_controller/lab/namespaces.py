"""Network namespaces by name, as `ip netns` keeps them: /run/netns/NAME.

A namespace belongs to a thread. What is done in one is done in a thread of its own, which ends with it, so that the
caller never moves and nothing has to be forked.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pyroute2 import netns

from netmesh_controller.lab.errors import LabError

FOLDER = Path("/run/netns")
_SYS = Path("/proc/sys/net")
_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_Result = TypeVar("_Result")

# A new namespace takes its settings from the machine's, whatever those are. Duplicate address detection would hold
# back IPv6 for a second. TCP's congestion control stays the machine's: outside of the machine's own namespace a kernel
# grants only those that its default or its administrator has allowed.
_ALWAYS = {
    "ipv6/conf/all/disable_ipv6": "0",
    "ipv6/conf/default/disable_ipv6": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
}
# A router that tells nobody of shorter ways, and takes packets whatever way back it knows.
ROUTER = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    **{f"ipv4/conf/{which}/{name}": "0" for which in ("all", "default") for name in ("send_redirects", "rp_filter")},
    # Connections that have ended are forgotten soon, or fast new ones would fill the table (the kernel's: 120 s), and
    # packets outside of a window are translated all the same, as kube-proxy's `tcpBeLiberal` has it.
    "netfilter/nf_conntrack_tcp_timeout_time_wait": "5",
    "netfilter/nf_conntrack_tcp_timeout_close": "5",
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
}
SWITCH = {f"bridge/bridge-nf-call-{tables}": "0" for tables in ("iptables", "ip6tables", "arptables")}


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6 at all."""
    return (_SYS / "ipv6").is_dir()


def in_thread(function: Callable[[], _Result]) -> _Result:
    """Runs a function in a thread of its own and gives what it gives or raises."""
    results: list[_Result] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised again below, in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=call, name="netns")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def create(name: str, settings: dict[str, str]) -> None:
    """Makes a namespace with the given settings (paths below /proc/sys/net); LabError where it may not."""

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)  # os.unshare came with Python 3.12
        if libc.unshare(_CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise LabError(
                f"Cannot make a network namespace: {os.strerror(number)}; "
                "a lab needs the capabilities SYS_ADMIN and NET_ADMIN, as root on the machine itself has."
            )
        try:
            netns.attach(name, threading.get_native_id())
        except OSError as error:
            raise LabError(f"Cannot name the network namespace {name}: {error}.") from error
        for path, value in (_ALWAYS | settings).items():
            # Absent: this kernel was built without that part, and so has nothing to set.
            if (_SYS / path).exists():
                _write(path, value)

    in_thread(make)


def _write(path: str, value: str) -> None:
    try:
        (_SYS / path).write_text(value)
    except OSError as error:
        raise LabError(f"Cannot set {_SYS / path} to {value} in a namespace: {error.strerror}.") from error


def inside(name: str, function: Callable[[], _Result]) -> _Result:
    """Runs a function in the named namespace; programs that it starts are there as well."""

    def call() -> _Result:
        netns.setns(name, flags=0)
        return function()

    return in_thread(call)


def enter(name: str) -> None:
    """Moves the calling thread, and every thread and process that it starts from now on, into the namespace."""
    netns.setns(name, flags=0)


def remove(name: str) -> None:
    """Takes a namespace's name away; it ends with the last process in it. Nothing where there is none."""
    try:
        netns.remove(name)
    except FileNotFoundError:
        return


def names() -> list[str]:
    """Every namespace that has a name."""
    return [str(name) for name in netns.listnetns()]
