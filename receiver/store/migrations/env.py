"""Alembic's entry: runs the wanted migrations on the connection that `receiver.store.schema` hands over."""

from alembic import context

# One transaction for all of them: the caller has begun it, and what ends this block commits it or rolls it back.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
