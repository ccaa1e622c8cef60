"""Alembic's entry: runs in the connection and transaction that it is given."""

from alembic import context

from registry.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    transactional_ddl=True,
    render_as_batch=False,
    # The caller's transaction is the transaction: a killed upgrade leaves nothing.
    transaction_per_migration=False,
)
context.run_migrations()
