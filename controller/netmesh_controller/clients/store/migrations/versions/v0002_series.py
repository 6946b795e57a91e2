"""Cells fall into series, runs have tags, a state that can be asked for, findings, and the process that measures them.

What a run says stays as it is: cells lose the fields that have their default, which reading adds again.
"""

import json

import sqlalchemy as sa
from alembic import op

from netmesh_controller.clients.store.errors import StoreError

revision = "0002"
down_revision = "0001"

_KEY = ("path", "test", "source", "target", "repeat", "parameters")


def upgrade() -> None:
    """Moves runs and cells into the new tables."""
    for index in ("runs_by_start", "runs_by_name"):
        op.drop_index(index, "runs")
    op.rename_table("runs", "runs_1")
    op.rename_table("cells", "cells_1")
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("nodes", sa.Text, nullable=False),
        sa.Column("findings", sa.Text),
        sa.Column("writer", sa.Text),
        sa.Column("alive_at", sa.Double),
    )
    op.create_index("runs_by_start", "runs", ["started_at"])
    op.create_index("runs_by_name", "runs", ["name"])
    op.create_table(
        "tags",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tag", sa.Text, primary_key=True),
    )
    op.create_index("tags_by_tag", "tags", ["tag"])
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("test", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.UniqueConstraint("run_id", "path", "test", "parameters"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cells",
        sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("rest", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    _move_runs(connection)
    _move_cells(connection)
    op.drop_table("cells_1")
    op.drop_table("runs_1")


def _move_runs(connection: sa.Connection) -> None:
    insert = sa.text(
        "INSERT INTO runs (id, name, state, started_at, run, nodes) "
        "VALUES (:id, :name, :state, :started_at, :run, :nodes)"
    )
    for row in connection.execute(sa.text("SELECT id, name, started_at, run, nodes FROM runs_1")).mappings().all():
        connection.execute(insert, {**row, "state": json.loads(row["run"])["state"]})


def _move_cells(connection: sa.Connection) -> None:
    """In pages, so that a large database does not fill the memory."""
    page = sa.text(
        "SELECT run_id, key, cell FROM cells_1 WHERE (run_id, key) > (:run_id, :key) ORDER BY run_id, key LIMIT 1000"
    )
    insert = sa.text("INSERT INTO cells VALUES (:series_id, :source, :target, :repeat, :outcome, :rest)")
    ids: dict[tuple[str, str, str, str], int] = {}
    last = {"run_id": "", "key": ""}
    while rows := connection.execute(page, last).all():
        moved = []
        for run_id, _, text in rows:
            try:
                cell = json.loads(text)
            except ValueError as error:
                raise StoreError(
                    f"a cell of run {run_id} is no JSON: {error}; the database is left as it is"
                ) from error
            parameters = json.dumps(cell["parameters"], separators=(",", ":"), ensure_ascii=False)
            series = (run_id, cell["path"], cell["test"], parameters)
            if series not in ids:
                ids[series] = _new_series(connection, *series)
            rest = {name: value for name, value in cell.items() if name not in _KEY}
            moved.append(
                {
                    "series_id": ids[series],
                    "source": cell["source"],
                    "target": cell["target"],
                    "repeat": cell["repeat"],
                    "outcome": cell["outcome"],
                    "rest": json.dumps(rest, separators=(",", ":"), ensure_ascii=False),
                }
            )
        connection.execute(insert, moved)
        last = {"run_id": rows[-1][0], "key": rows[-1][1]}


def _new_series(connection: sa.Connection, run_id: str, path: str, test: str, parameters: str) -> int:
    insert = sa.text(
        "INSERT INTO series (run_id, path, test, parameters) VALUES (:run_id, :path, :test, :parameters) RETURNING id"
    )
    values = {"run_id": run_id, "path": path, "test": test, "parameters": parameters}
    made: int = connection.execute(insert, values).scalar_one()
    return made
