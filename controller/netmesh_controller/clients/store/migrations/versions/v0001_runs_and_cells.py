"""Runs, and cells as one JSON text a cell under its key."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the first tables, which existed in SQLite only."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200)),
        sa.Column("started_at", sa.String(40), nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("nodes", sa.Text, nullable=False),
    )
    op.create_index("runs_by_start", "runs", ["started_at"])
    op.create_index("runs_by_name", "runs", ["name"])
    op.create_table(
        "cells",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("cell", sa.Text, nullable=False),
    )
