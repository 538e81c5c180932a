"""The contract of a server provider."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.config import normalize
from rally_deploy.hosts import dns
from rally_deploy.ledger import ResourceOwner, undo_all
from rally_deploy.model import Resource, Server

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.hosts.beforehand import Beforehand
    from rally_deploy.hosts.tagged import Tagged


class ServerProvider(ResourceOwner):
    """Makes or names servers: a subclass is CONFIG_SCHEMA, ``create_servers`` and ``delete``.

    Whoever wants servers asks :meth:`provide`. The key ``dns`` is added to every subclass's
    schema and dealt with here.
    """

    #: What will be installed on the servers, if whoever wants them has told: servers that have it
    #: already spare the time. Most providers have no use for it.
    beforehand: Beforehand | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(cls.CONFIG_SCHEMA, Mapping):
            cls.CONFIG_SCHEMA = dns.with_dns(cls.CONFIG_SCHEMA)

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

    def provide(
        self, amount: int | None = None, beforehand: Beforehand | None = None
    ) -> list[Server]:
        """The servers, with their names in DNS if the block has ``dns``."""
        self.beforehand = beforehand
        names = self._names()
        if names is None:
            return self.create_servers(amount=amount)
        names.require()
        servers = self.create_servers(amount=amount)
        names.publish(servers)
        return servers

    def delete(self, resource: Resource) -> None:
        raise NotImplementedError(f"{type(self).__name__} recorded {resource.kind} without delete")

    def place(self) -> str:
        """Where it makes what is on no host: a cloud's address and login, say; else empty.

        ``rdeploy sweep`` asks one provider of each place for what is :meth:`tagged` there.
        """
        return ""

    def tagged(self) -> list[Tagged]:
        """All in that place that carries a deployment's tag, whichever one's. Changes nothing."""
        return []

    def destroy_servers(self) -> None:
        """Remove all that this provider made for this deployment, then its host provider's."""
        names, hosts = self._names(), self.config.get("host_provider")
        undo: list[Callable[[], None]] = [names.release_all] if names else []
        undo.append(self.release_all)
        if isinstance(hosts, Mapping):
            undo.append(lambda: self.deployment.provider(hosts, "host_provider").destroy_servers())
        undo_all(undo)

    def _names(self) -> dns.NamesInDns | None:
        """None without a ``dns`` block, and where the plugin's own key is called so."""
        ours = self.CONFIG_SCHEMA.get("properties", {}).get("dns") is dns.SCHEMA
        block = self.config.get("dns")
        return dns.NamesInDns(self.deployment, block) if ours and block else None
