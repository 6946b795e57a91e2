"""The database of a controller that stays goes away in mid-sweep and comes back: the sweep goes on, nothing is lost."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.test_serve import QUICK, Serving, ended, options
from tests.support.postgres import Server, postgres_server

from netmesh_controller import lab as labs


@pytest.fixture
def database() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


def test_a_sweep_goes_on_after_its_database_was_away(database: Server, tmp_path: Path) -> None:
    with labs.up(labs.load_spec("nodes: 2"), f"nmtest-{secrets.token_hex(2)}", ephemeral=True) as mesh:
        serving = Serving(tmp_path / "data", mesh, NETMESH_STORE=database.create("netmesh"))
        serving.start()
        try:
            sweep = serving.sweep(*options({**QUICK, "repeat": "3"}), "--format", "json", "--name", "one")
            serving.wait_for_cells(2, name="one")
            database.stop()
            problem = serving.ask("GET", "runs")
            assert (problem["status"], problem["code"]) == (503, "store")
            database.start()
            answer = ended(sweep)
            assert answer.code == 0, answer.stderr
            document = answer.document()
            assert document.run.state == "complete"
            assert len({cell.key for cell in document.cells}) == len(document.cells) == 12
            assert [one["run"]["name"] for one in serving.ask("GET", "runs")["runs"]] == ["one"]
        finally:
            code, stderr = serving.end()
        assert code == 0, stderr
        assert "Traceback" not in stderr
