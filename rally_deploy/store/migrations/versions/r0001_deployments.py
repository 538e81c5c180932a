"""Deployments with their configs, resources, servers, events, secrets and credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id() -> "sa.Column[int]":
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("id", kind, primary_key=True, autoincrement=True)


def _deployment(primary_key: bool = False) -> "sa.Column[str]":
    return sa.Column(
        "deployment_uuid", sa.String(36), sa.ForeignKey("deployments.uuid"), nullable=False,
        primary_key=primary_key,
    )


def _index(
    name: str, table: str, columns: list[str], where: str = "", unique: bool = False
) -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent_uuid", sa.String(36), sa.ForeignKey("deployments.uuid")),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ready_at", sa.BigInteger),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("lease_owner", sa.Text, nullable=False),
        sa.Column("lease_expires_at", sa.BigInteger),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
    )
    _index("deployments_parent", "deployments", ["parent_uuid"])
    _index("deployments_lease", "deployments", ["lease_owner"])
    _index("deployments_live_name", "deployments", ["name"],
           "parent_uuid IS NULL AND state <> 'destroyed'", unique=True)
    _index("deployments_child_name", "deployments", ["parent_uuid", "name"], unique=True)
    op.create_table(
        "configs", _deployment(True), sa.Column("config_sealed", sa.Text, nullable=False)
    )
    _resources()
    op.create_table(
        "servers",
        _deployment(True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("server_sealed", sa.Text, nullable=False),
    )
    _events()
    op.create_table(
        "secrets",
        _deployment(True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value_sealed", sa.Text, nullable=False),
    )
    op.create_table(
        "credentials", _deployment(True),
        sa.Column("credentials_sealed", sa.Text, nullable=False),
    )


def _resources() -> None:
    op.create_table(
        "resources",
        _id(),
        _deployment(),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("host_sealed", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column(
            "inside_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("resources.id"),
        ),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    _index("resources_inside", "resources", ["inside_id"])
    _index("resources_deployment", "resources", ["deployment_uuid", "id"])
    _index("resources_alive", "resources", ["deployment_uuid", "owner", "kind", "key"],
           "state <> 'gone'", unique=True)


def _events() -> None:
    op.create_table(
        "events",
        _id(),
        _deployment(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("parent_step", sa.String(32), nullable=False),
        sa.Column("elapsed_s", sa.Float),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    _index("events_deployment", "events", ["deployment_uuid", "id"])
