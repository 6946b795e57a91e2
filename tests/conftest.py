"""Every process of the suite has a network of its own, and nothing is skipped silently.

Tests open fixed ports and send traffic as fast as it goes. In a network namespace with nothing but its loopback
device they cannot disturb each other, what else runs on the machine, or anybody outside.
"""

import ctypes
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from pyroute2 import IPRoute
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

CLONE_NEWNET = 0x40000000  # sched.h

# Files whose tests share a lab, a browser or a Prometheus: one worker has them all, three would start three.
WHOLE_FILES = (
    "tests/controller/lab/test_network.py",
    "tests/controller/lab/test_services.py",
    "tests/e2e/test_mesh_page.py",
    "tests/e2e/test_pages.py",
    "tests/integration/test_prometheus.py",
    "tests/integration/test_serve.py",
)

# No test asserts how long it takes: the workers share the cores, and one example may wait for the others.
settings.register_profile("netmesh", deadline=None)
settings.load_profile("netmesh")


def _enter_a_network_of_its_own() -> None:
    """unshare(2): threads and processes started from here on are in the new namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare(CLONE_NEWNET)")
    with IPRoute() as routes:
        routes.link("set", index=1, state="up")  # lo is the first device of every namespace


def pytest_configure(config: pytest.Config) -> None:
    """Enters the namespace before anything is collected; tests of a real cluster enter namespaces themselves."""
    cluster_only = [Path(argument).parts[:2] == ("tests", "kube") for argument in config.args]
    if os.geteuid() == 0 and not (cluster_only and all(cluster_only)):
        _enter_a_network_of_its_own()


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # has no types
    """A worker that is free takes the next test, or the next file of those. Names of tests stay what they are, which
    groups of xdist's own change: `--last-failed` would not find them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in WHOLE_FILES else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How tests come to the workers."""
    return _Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration a skipped test fails, but for what "this kernel" does not have, as its reason says."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if "this kernel" not in reason:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped: {reason.removeprefix('Skipped: ')}"
    return report
