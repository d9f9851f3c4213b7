"""Alembic's entry: runs the wanted migrations on the connection that `receiver.store.schema` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=False,  # the caller's own transaction holds all of it
)
context.run_migrations()
