"""The database: deployments, resources, servers, events, secrets. One method, one transaction.

Importing this, and listing deployments from an SQLite file, costs next to nothing: SQLAlchemy is
imported for all else, Alembic only if the database is not of the present revision, and the key of
the secrets is read with the first secret.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from rally_deploy import paths

if TYPE_CHECKING:
    from rally_deploy.store.database import Database
    from rally_deploy.store.events import Events
    from rally_deploy.store.resources import Resources
    from rally_deploy.store.sealed import CredentialSets, HostKeys, Secrets, Servers
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

        self._database = database
        self._vault = vault
        self.deployments = Deployments(database, vault)

    @cached_property
    def resources(self) -> Resources:
        from rally_deploy.store.resources import Resources

        return Resources(self._database, self._vault)

    @cached_property
    def servers(self) -> Servers:
        from rally_deploy.store.sealed import Servers

        return Servers(self._database, self._vault)

    @cached_property
    def events(self) -> Events:
        from rally_deploy.store.events import Events

        return Events(self._database)

    @cached_property
    def secrets(self) -> Secrets:
        from rally_deploy.store.sealed import Secrets

        return Secrets(self._database, self._vault)

    @cached_property
    def host_keys(self) -> HostKeys:
        from rally_deploy.store.sealed import HostKeys

        return HostKeys(self._database)

    @cached_property
    def credentials(self) -> CredentialSets:
        from rally_deploy.store.sealed import CredentialSets

        return CredentialSets(self._database, self._vault)

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
