"""The tables as they are in the present revision. A change here needs a new revision, too.

Times are microseconds since 1970 (UTC): both databases compare them alike and keep all digits.
Columns named ``*_sealed`` hold JSON encrypted by the vault.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: An id that rises and is never given twice; SQLite wants its own INTEGER for that.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _deployment(primary_key: bool = False) -> Column[str]:
    return Column(
        "deployment_uuid", ForeignKey("deployments.uuid"), nullable=False, primary_key=primary_key
    )


deployments = Table(
    "deployments",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("parent_uuid", ForeignKey("deployments.uuid")),
    Column("state", String(16), nullable=False),
    Column("engine", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ready_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("lease_owner", Text, nullable=False),
    Column("lease_expires_at", BigInteger),
    Column("cancel_requested", Boolean, nullable=False),
    Index("deployments_parent", "parent_uuid"),
    Index("deployments_lease", "lease_owner"),
)
#: A name may be used again once its deployment is destroyed, and within another parent.
Index(
    "deployments_live_name", deployments.c.name, unique=True,
    sqlite_where=text("parent_uuid IS NULL AND state <> 'destroyed'"),
    postgresql_where=text("parent_uuid IS NULL AND state <> 'destroyed'"),
)
Index("deployments_child_name", deployments.c.parent_uuid, deployments.c.name, unique=True)

#: Apart from the row: a listing does not read it.
configs = Table(
    "configs",
    metadata,
    _deployment(primary_key=True),
    Column("config_sealed", Text, nullable=False),
)

resources = Table(
    "resources",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _deployment(),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("host_sealed", Text),
    Column("facts", Text, nullable=False),
    Column("inside_id", ForeignKey("resources.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("resources_inside", "inside_id"),
    Index("resources_deployment", "deployment_uuid", "id"),
    sqlite_autoincrement=True,
)
Index(
    "resources_alive", resources.c.deployment_uuid, resources.c.owner, resources.c.kind,
    resources.c.key, unique=True,
    sqlite_where=text("state <> 'gone'"), postgresql_where=text("state <> 'gone'"),
)

servers = Table(
    "servers",
    metadata,
    _deployment(primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("server_sealed", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _deployment(),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("step", String(32), nullable=False),
    Column("parent_step", String(32), nullable=False),
    Column("elapsed_s", Float),
    Column("detail", Text, nullable=False),
    Index("events_deployment", "deployment_uuid", "id"),
    sqlite_autoincrement=True,
)

secrets = Table(
    "secrets",
    metadata,
    _deployment(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value_sealed", Text, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    _deployment(primary_key=True),
    Column("credentials_sealed", Text, nullable=False),
)

host_keys = Table(
    "host_keys",
    metadata,
    _deployment(primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("key", Text, nullable=False),
)
