"""Pinned host keys; an index for the durations of past runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_keys",
        sa.Column(
            "deployment_uuid", sa.String(36), sa.ForeignKey("deployments.uuid"),
            primary_key=True, nullable=False,
        ),
        sa.Column("identity", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
    )
    condition = sa.text("ready_at IS NOT NULL")
    op.create_index(
        "deployments_ready", "deployments", ["engine", "ready_at"],
        sqlite_where=condition, postgresql_where=condition,
    )
