"""Runs are listed without their nodes and cells being read: nodes have their number beside them, outcomes an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds both."""
    op.add_column("runs", sa.Column("node_count", sa.Integer, nullable=False, server_default="0"))
    nodes = "nodes" if op.get_bind().dialect.name == "sqlite" else "CAST(nodes AS json)"
    op.execute(f"UPDATE runs SET node_count = json_array_length({nodes})")  # noqa: S608  # nobody's text
    op.create_index("cells_by_outcome", "cells", ["series_id", "outcome"])
