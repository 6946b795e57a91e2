"""Runs and cells to put into stores."""

from __future__ import annotations

from netmesh_controller.mesh.document import Cell, Parameters, PlanRecord, Run, Summary


def a_run(run_id: str = "20261123-060000-aaaa", started: str = "2026-11-23T06:00:00Z", **changes: object) -> Run:
    run = Run(id=run_id, state="complete", started_at=started, netmesh_version="0", plan=PlanRecord())
    return run.model_copy(update=changes)


def a_cell(source: str = "a", target: str = "b", **changes: object) -> Cell:
    cell = Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source=source,
        target=target,
        repeat=1,
        attempt=1,
        parameters=Parameters(instrument="iperf3", streams=1, direction="forward"),
        outcome="measured",
        values={"bits_per_second": Summary(mean=1e9), "retransmits": None},
    )
    return cell.model_copy(update=changes)
