"""The schema's history, run by `receiver.store.schema` through Alembic."""
