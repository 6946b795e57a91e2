"""The run document: a hand-written one is read and valid, wrong ones are neither."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from netmesh_controller.mesh.document import Cell, RunDocument, Summary

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs/schema/netmesh.run-1.schema.json"
SCHEMA: dict[str, Any] = json.loads(COMMITTED.read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

PARAMETERS: dict[str, Any] = {
    "instrument": "iperf3",
    "family": 4,
    "streams": 1,
    "message_bytes": None,
    "mss_bytes": None,
    "direction": "forward",
    "load": None,
    "offered_bits_per_second": None,
    "offered_per_second": None,
    "congestion_control": None,
}
KEY: dict[str, Any] = {
    "path": "pod-to-pod",
    "test": "tcp-bandwidth",
    "repeat": 0,
    "attempt": 1,
    "parameters": PARAMETERS,
}
HOST: dict[str, Any] = {
    "cpu_cores": {
        "user": 0.1,
        "nice": 0.0,
        "system": 0.6,
        "irq": 0.0,
        "softirq": 0.2,
        "steal": 0.0,
        "unattributed": 0.3,
        "busy": 1.2,
        "busiest_core": 0.9,
    },
    "cpu_seconds_per_gigabyte": None,
    "tool_cpu_cores": 0.7,
    "tool_cpu_seconds_per_gigabyte": 0.75,
    "memory_bytes": {"total": 8000000000},
    "device": {"name": "eth0", "received_bytes": 586000000},
    "throttled_seconds": 0.0,
    "window_seconds": 5.0,
    "shared_host": True,
}
VALUES: dict[str, Any] = {
    "bits_per_second": {
        "mean": 9.41e8,
        "stdev": 1e6,
        "min": 9.3e8,
        "p10": 9.4e8,
        "p50": 9.41e8,
        "p90": 9.42e8,
        "p99": None,
        "p999": None,
        "max": 9.43e8,
        "count": 50,
    },
    "retransmits": {"mean": 0, "count": 1},
    "round_trip_seconds": None,
}
DOCUMENT: dict[str, Any] = {
    "schema": "netmesh.run/1",
    "run": {
        "id": "0199a",
        "name": None,
        "state": "partial",
        "started_at": "2025-11-20T10:00:00Z",
        "finished_at": "2025-11-20T10:01:00Z",
        "netmesh_version": "0.1.0",
        "plan": {"asked": {"tests": ["tcp-bandwidth"]}, "resolved": {"duration_seconds": 5}},
        "facts": {"shared_host": True},
    },
    "nodes": [
        {
            "name": name,
            "zone": None,
            "labels": {},
            "agents": [{"role": "pod", "address": f"10.0.{index}.2", "facts": {"iperf3": "3.12"}}],
            "facts": {},
        }
        for index, name in enumerate(("node-1", "node-2"))
    ],
    "cells": [
        {
            **KEY,
            "source": "node-1",
            "target": "node-2",
            "outcome": "measured",
            "reason": None,
            "started_at": "2025-11-20T10:00:01Z",
            "duration_seconds": 5.0,
            "values": VALUES,
            "intervals": {"bits_per_second": [9.4e8, None, 9.42e8]},
            "histograms": {},
            "hosts": {"source": HOST, "target": None},
            "witness": {"verdict": "healthy", "signs": []},
            "tool": {"version": "3.12", "reported": {"cpu": 0.4}, "raw": "{}"},
        },
        {
            **KEY,
            "source": "node-2",
            "target": "node-1",
            "outcome": "failed",
            "reason": {"code": "timeout", "message": "iperf3 said nothing for 12 s."},
        },
        {
            **KEY,
            "source": "node-1",
            "target": "node-1",
            "outcome": "discarded",
            "reason": {"code": "starved", "message": "The agent was throttled for 3.1 s of 5 s."},
            "values": VALUES,
            "witness": {"verdict": "starved", "signs": ["throttled"]},
        },
        {
            **KEY,
            "source": "node-2",
            "target": "node-2",
            "outcome": "skipped",
            "reason": {"code": "tool_missing", "message": "node-2 has no iperf3."},
        },
    ],
    "matrices": [
        {
            "path": "pod-to-pod",
            "test": "tcp-bandwidth",
            "parameters": PARAMETERS,
            "value": "bits_per_second",
            "statistic": "mean",
            "unit": "bit/s",
            "sources": ["node-1", "node-2"],
            "targets": ["node-1", "node-2"],
            "values": [[None, 9.41e8], [None, None]],
            "reasons": [["starved", None], ["timeout", "tool_missing"]],
        }
    ],
    "findings": [],
}


def test_the_committed_schema_is_fresh(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/schema", str(tmp_path)], check=True)
    fresh = (tmp_path / COMMITTED.name).read_text()
    assert fresh == COMMITTED.read_text(), "run make schema and commit the result"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "netmesh.run/1"
    assert SCHEMA["$id"]


def test_a_whole_document_is_valid_and_read() -> None:
    VALIDATOR.validate(DOCUMENT)
    assert RunDocument.model_validate_json(json.dumps(DOCUMENT)).cells[1].reason is not None


def test_what_is_written_is_valid_and_read_again() -> None:
    document = RunDocument.model_validate(DOCUMENT)
    written = document.model_dump_json()
    VALIDATOR.validate(json.loads(written))
    assert RunDocument.model_validate_json(written) == document


def _wrong(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    # Through JSON, so that no part of the copy is shared with another.
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    change(document)
    return document


REASON = {"code": "timeout", "message": "It took too long."}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d.pop("schema"), id="not said what it is"),
        pytest.param(lambda d: d.update(schema="netmesh.run/2"), id="another version"),
        pytest.param(lambda d: d.pop("nodes"), id="no nodes"),
        pytest.param(lambda d: d["run"].update(state="finished"), id="unknown state"),
        pytest.param(lambda d: d["cells"][0].update(surprise=1), id="unknown field in a cell"),
        pytest.param(lambda d: d["run"].update(surprise=1), id="unknown field in the run"),
        pytest.param(lambda d: d["cells"][0]["values"].update(bits_per_second={"count": 1}), id="value without number"),
        pytest.param(lambda d: d["cells"][0]["values"]["bits_per_second"].update(mean=None), id="mean null"),
        pytest.param(lambda d: d["cells"][0]["values"]["bits_per_second"].update(mean="fast"), id="mean a word"),
        pytest.param(lambda d: d["cells"][0]["values"]["bits_per_second"].update(count=0), id="mean of nothing"),
        pytest.param(lambda d: d["cells"][0].update(outcome="measured", reason=REASON), id="measured with a reason"),
        pytest.param(lambda d: d["cells"][1].update(reason=None), id="failed without reason"),
        pytest.param(lambda d: d["cells"][1].pop("reason"), id="failed, reason absent"),
        pytest.param(lambda d: d["cells"][2].update(reason=None), id="discarded without reason"),
        pytest.param(lambda d: d["cells"][3].update(reason=None), id="skipped without reason"),
        pytest.param(lambda d: d["cells"][1].update(reason={"code": "timeout"}), id="reason without sentence"),
        pytest.param(lambda d: d["cells"][0].update(outcome="fine"), id="unknown outcome"),
        pytest.param(lambda d: d["cells"][0]["parameters"].update(instrument=None), id="no instrument"),
        pytest.param(lambda d: d["matrices"][0].update(values=[["fast"]]), id="matrix of words"),
    ],
)
def test_a_wrong_document_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    document = _wrong(change)
    assert list(VALIDATOR.iter_errors(document))
    if "schema" in document:  # a document made in Python says by its type what it is
        with pytest.raises(ValidationError):
            RunDocument.model_validate(document)


def test_a_written_key_is_whole() -> None:
    document = _wrong(lambda d: d["cells"][0]["parameters"].pop("mss_bytes"))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == ["'mss_bytes' is a required property"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_no_value(number: str) -> None:
    """JSON has no NaN, so the schema cannot speak of it; what reads and writes the document refuses it."""
    with pytest.raises(ValidationError):
        Summary(mean=float(number))
    text = json.dumps(DOCUMENT).replace("941000000.0", number)
    assert number in text
    with pytest.raises(ValidationError):
        RunDocument.model_validate_json(text)


@pytest.mark.parametrize(
    ("outcome", "reason"), [("measured", REASON), ("failed", None), ("skipped", None), ("discarded", None)]
)
def test_a_cell_is_a_value_or_a_reason(outcome: str, reason: dict[str, str] | None) -> None:
    fields = {**KEY, "source": "node-1", "target": "node-2", "outcome": outcome, "reason": reason}
    with pytest.raises(ValidationError, match=f"a {outcome} cell has"):
        Cell.model_validate(fields)
