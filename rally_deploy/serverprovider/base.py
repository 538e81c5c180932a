"""The contract of a server provider."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.config import normalize
from rally_deploy.errors import LeftOver
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment


class ServerProvider(ResourceOwner):
    """Makes or names servers: a subclass is CONFIG_SCHEMA, ``create_servers`` and ``delete``."""

    def __init__(self, deployment: Deployment, config: Mapping[str, Any]) -> None:
        self.deployment = deployment
        self.config: Mapping[str, Any] = normalize(config, self.CONFIG_SCHEMA)

    @abstractmethod
    def create_servers(
        self,
        image_uuid: str | None = None,
        type_id: str | None = None,
        amount: int | None = None,
    ) -> list[Server]:
        """Servers that answer; None means what the config says. A second call makes no more."""

    def delete(self, resource: Resource) -> None:
        raise NotImplementedError(f"{type(self).__name__} recorded {resource.kind} without delete")

    def destroy_servers(self) -> None:
        """Remove all that this provider made for this deployment, then its host provider's."""
        failure: LeftOver | None = None
        try:
            self.release_all()
        except LeftOver as error:
            failure = error
        hosts = self.config.get("host_provider")
        if isinstance(hosts, Mapping):
            self.deployment.provider(hosts, "host_provider").destroy_servers()
        if failure:
            raise failure
