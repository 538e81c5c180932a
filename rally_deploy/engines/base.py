"""The contract of an engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.config import normalize
from rally_deploy.errors import LeftOver
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server, State

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment


class DeployEngine(ResourceOwner):
    """Puts an OpenStack distribution onto servers.

    A subclass has CONFIG_SCHEMA and :meth:`deploy`; one that makes things of its own (packages
    on a server that we did not make, say) records them with ``create`` and has ``delete``.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.config: Mapping[str, Any] = normalize(deployment.config, self.CONFIG_SCHEMA)

    @abstractmethod
    def deploy(self) -> dict[str, Any]:
        """Make the cloud, or go on where an earlier run ended, and return how to use it.

        :returns: ``{"admin": {auth_url, username, password, project_name, ...} or None,
            "users": [...], "services": {type: url}}``; Rally's
            ``{"openstack": [{"admin", "users"}]}`` is taken too.
        """

    def delete(self, resource: Resource) -> None:
        raise NotImplementedError(f"{type(self).__name__} recorded {resource.kind} without delete")

    def create_servers(self, key: str = "provider") -> list[Server]:
        """The servers of the provider in this block, recorded for ``show`` and ``ssh``."""
        provider = self.deployment.provider(self.config[key])
        servers = provider.create_servers()
        self.deployment.record_servers(servers)
        self.deployment.move(State.DEPLOYING)
        return servers

    def cleanup(self) -> None:
        """Undo :meth:`deploy`, also a half-done one; a second call is harmless.

        Our own resources go first, then the child deployments, then the provider's servers; a
        failure of one never keeps the next, all are raised together at the end.
        """
        failures: list[LeftOver] = []
        undo: list[Callable[[], None]] = [self.release_all]
        undo += [child.destroy for child in reversed(self.deployment.children())]
        block = self.config.get("provider")
        if isinstance(block, Mapping):
            undo.append(lambda: self.deployment.provider(block).destroy_servers())
        for act in undo:
            try:
                act()
            except LeftOver as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise LeftOver(
                "not everything could be removed", "\n".join(str(e) for e in failures),
                failures[0].remedy,
            )
