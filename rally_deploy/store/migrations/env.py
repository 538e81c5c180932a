"""What Alembic runs: it works on the connection, and in the transaction, of its caller."""

from alembic import context

from rally_deploy.store.database import VERSION_TABLE
from rally_deploy.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
