"""The controller's rights are the least: of the audit log of all tests before, each verb was used and none refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.kube.installed import CONTROLLER_USER, HOST_NAMESPACE, NAMESPACE, Netmesh

from netmesh_controller.deployment import manifests

pytestmark = pytest.mark.timeout(300)

GOING = timedelta(seconds=60)
Right = tuple[str, str, str, str, str]
"""Namespace (none: the cluster's), API group, resource, verb, name of the one object (none: any)."""


def _host_rights_end(netmesh: Netmesh) -> list[datetime]:
    """When the host agents' namespace was removed, and with it the rights there: a watch that is open is told so."""
    lines = netmesh.cluster.control_plane.audit_log.read_text().splitlines()
    entries = [json.loads(line) for line in lines if '"verb":"delete"' in line and HOST_NAMESPACE in line]
    rights = ("namespaces", "roles", "rolebindings")
    return [_moment(entry) for entry in entries if entry.get("objectRef", {}).get("resource") in rights]


def _asked(netmesh: Netmesh) -> list[dict[str, Any]]:
    lines = netmesh.cluster.control_plane.audit_log.read_text().splitlines()
    entries = [json.loads(line) for line in lines if CONTROLLER_USER in line]
    mine = [entry for entry in entries if entry["user"]["username"] == CONTROLLER_USER and "objectRef" in entry]
    had = netmesh.periods
    return [entry for entry in mine if had.has(_moment(entry))]


def _moment(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["requestReceivedTimestamp"])


def _granted() -> set[Right]:
    """By the roles of the base and of the host agents."""
    return {
        (role["metadata"].get("namespace", ""), group, resource, verb, name)
        for role in manifests(host_network=True)
        if role["kind"] in ("Role", "ClusterRole")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def _used(entries: list[dict[str, Any]]) -> set[Right]:
    used = set()
    for entry in entries:
        code, what = entry.get("responseStatus", {}).get("code", 0), entry["objectRef"]
        if code < 400 or code in (404, 409, 410):
            right = (what.get("namespace", ""), what.get("apiGroup", ""), what.get("resource", ""), entry["verb"])
            used |= {(*right, ""), (*right, what.get("name", ""))}
    return used


def test_nothing_that_the_controller_asked_for_was_refused(netmesh: Netmesh) -> None:
    ended = _host_rights_end(netmesh)

    def was_taken(entry: dict[str, Any]) -> bool:
        here = entry["objectRef"].get("namespace") == HOST_NAMESPACE
        return here and any(timedelta() <= _moment(entry) - end < GOING for end in ended)

    refused = {
        (entry["verb"], entry["requestURI"].partition("?")[0])
        for entry in _asked(netmesh)
        # Admission refuses too, as where a namespace is being removed; that is no lack of rights.
        if entry["annotations"].get("authorization.k8s.io/decision") == "forbid" and not was_taken(entry)
    }
    assert refused == set()


def test_every_right_that_the_controller_has_was_used(netmesh: Netmesh) -> None:
    assert _granted() - _used(_asked(netmesh)) == set()


def test_agents_asked_the_api_server_for_nothing(netmesh: Netmesh) -> None:
    log = netmesh.cluster.control_plane.audit_log.read_text()
    mine = (f"system:serviceaccount:{NAMESPACE}:", f"system:serviceaccount:{HOST_NAMESPACE}:")
    users = {json.loads(line)["user"]["username"] for line in log.splitlines() if any(one in line for one in mine)}
    assert {user for user in users if user.startswith(mine)} == {CONTROLLER_USER}
