"""The tables as they are now; `migrations/` holds how they came to be so.

A run's cells fall into series (path, test, parameters). What is not part of a cell's key is JSON in `rest`, without
the fields that have their default. Times are RFC 3339 texts, as in the document; `alive_at` is seconds since 1970 on
the database's clock.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("state", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("nodes", Text, nullable=False),
    # Kept beside them: of a thousand nodes they are a megabyte, which nobody reads to list a run.
    Column("node_count", Integer, nullable=False, server_default="0"),
    Column("findings", Text),
    # The process that measures it, while it does.
    Column("writer", Text),
    Column("alive_at", Double),
    Index("runs_by_start", "started_at"),
    Index("runs_by_name", "name"),
)

tags = Table(
    "tags",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("tags_by_tag", "tag"),
)

# An id is never given twice: another process may still know it.
series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),
    Column("test", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    UniqueConstraint("run_id", "path", "test", "parameters"),
    sqlite_autoincrement=True,
)

cells = Table(
    "cells",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("rest", Text, nullable=False),
    # Cells are counted without being read: a million of them are gigabytes.
    Index("cells_by_outcome", "series_id", "outcome"),
    sqlite_with_rowid=False,
)

# What monitoring keeps. Times are seconds since 1970; blocks are those of `mesh/probing/history.py`: of a minute with
# all values, and of an hour with one value in steps of so many seconds.
probe_minutes = Table(
    "probe_minutes",
    metadata,
    Column("started", BigInteger, primary_key=True, autoincrement=False),
    Column("block", LargeBinary, nullable=False),
)

probe_hours = Table(
    "probe_hours",
    metadata,
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("started", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True),
    Column("block", LargeBinary, nullable=False),
)

# Up to which report of each agent all is in the minutes; `versions` is JSON: whom it probed under which version.
probe_cursors = Table(
    "probe_cursors",
    metadata,
    Column("node", Text, primary_key=True),
    Column("instance", Text, nullable=False),
    Column("window", BigInteger, nullable=False),
    Column("versions", Text, nullable=False),
)

# The last batch that was written, so that one whose answer was lost is not written twice.
probe_batches = Table(
    "probe_batches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("batch", Text, nullable=False),
)

mesh_events = Table(
    "mesh_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("changed_at", Text),
    Column("closed_at", Text),
    Column("cause", Text),
    Column("finding", Text, nullable=False),
    Index("mesh_events_by_opening", "opened_at"),
)
