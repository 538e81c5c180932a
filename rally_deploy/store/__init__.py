"""The database: deployments, resources, servers, events, secrets. One method, one transaction.

Importing this costs next to nothing; SQLAlchemy comes with :meth:`Store.open`, Alembic only if
the database is not of the present revision, the key of the secrets with the first secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rally_deploy import paths

if TYPE_CHECKING:
    from rally_deploy.store.database import Database
    from rally_deploy.vault import Vault


def default_url() -> str:
    """The SQLite file in the user's data folder."""
    return f"sqlite:///{paths.data_dir() / 'rdeploy.sqlite'}"


class Store:
    """All that we remember. Thread-safe; many processes may have the same database open.

    Every error of the database is a StoreError that says what to do.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        from rally_deploy.store.deployments import Deployments
        from rally_deploy.store.events import Events
        from rally_deploy.store.resources import Resources
        from rally_deploy.store.sealed import CredentialSets, HostKeys, Secrets, Servers

        self._database = database
        self.deployments = Deployments(database, vault)
        self.resources = Resources(database, vault)
        self.servers = Servers(database, vault)
        self.events = Events(database)
        self.secrets = Secrets(database, vault)
        self.host_keys = HostKeys(database)
        self.credentials = CredentialSets(database, vault)

    @classmethod
    def open(cls, url: str, vault: Vault) -> Store:
        """Open the database, made or brought to the present revision if need be.

        :param url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST/NAME``.
        """
        from rally_deploy.store.database import Database

        return cls(Database.open(url), vault)

    def close(self) -> None:
        self._database.close()


__all__ = ["Store", "default_url"]
