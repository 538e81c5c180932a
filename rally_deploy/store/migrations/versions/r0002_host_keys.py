"""Pinned host keys."""

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
