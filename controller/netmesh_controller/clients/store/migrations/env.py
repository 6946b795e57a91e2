"""Alembic runs this for the connection that `schema.migrate` gives it, inside that one's transaction."""

from alembic import context

from netmesh_controller.clients.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
