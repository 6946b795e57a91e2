"""What continuous monitoring keeps: minutes, hours, how far each agent was read, and events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "probe_minutes",
        sa.Column("started", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("block", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "probe_hours",
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("block", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "probe_cursors",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("window", sa.BigInteger, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
    )
    op.create_table(
        "probe_batches",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("batch", sa.Text, nullable=False),
    )
    op.create_table(
        "mesh_events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text),
        sa.Column("closed_at", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("finding", sa.Text, nullable=False),
    )
    op.create_index("mesh_events_by_opening", "mesh_events", ["opened_at"])
