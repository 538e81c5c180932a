"""The contract of an engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rally_deploy.config import normalize
from rally_deploy.hosts import beforehand
from rally_deploy.ledger import ResourceOwner, undo_all
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

    @classmethod
    def packages_beforehand(cls, config: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """The packages that it will install on its servers, as far as it can say.

        A hint: a provider may make servers that have them already. Nothing may depend on it.

        :param config: its block, normalized.
        :returns: names by ID and VERSION_ID of /etc/os-release (``"debian 12"``); those of the key
            ``""`` are for every release. Names that the mirror does not have are left out.
        """
        return {}

    # What outer engines (MultihostEngine, LxcEngine) ask; each has an answer that does no harm.

    def hand_on(self) -> dict[str, str]:
        """What nodes outside may need of this cloud, for ``{name}`` in their configs.

        Asked of a deployment that is ready. The names begin with ``controller_``; see
        docs/config.rst. An engine adds what only it knows (passwords, the broker's URL).
        """
        servers, admin = self.deployment.servers(), self.deployment.result().get("admin") or {}
        url = str(admin.get("auth_url", ""))
        # With its SSH port forwarded a container's host is not its own address.
        address = str(servers[0].facts.get("address") or servers[0].host) if servers \
            else urlsplit(url).hostname or ""
        return {"controller_ip": address, "controller_auth_url": url}

    def compute_hosts(self) -> list[str]:
        """Names under which the computes of this deployment report to Nova, once deployed."""
        return []

    def admit(self, hosts: Sequence[str]) -> None:
        """Make computes of other deployments a part of this cloud; wait until all are up.

        Raises CloudBroken that names those that are not. An engine that cannot look says so.
        """
        self.deployment.note(
            f"nobody has looked whether {len(hosts)} computes are up: "
            f"{type(self).__name__} cannot", warning=True)

    def settled(self) -> None:
        """Called once the whole cloud that this is a node of is up: to measure, say."""

    def clone_script(self) -> str:
        """What makes a clone of this deployment's server a node of its own.

        A shell script that runs as root in each clone, at each boot, before its init and so before
        any service of the cloud; if it fails, the clone does not start. ``$1`` and ``$2`` are the
        old and the new host name, ``$3`` and ``$4`` the old and the new address; on the first
        server itself they are equal. The host name, machine id, SSH host keys and /etc/hosts are
        new already. It must be harmless when run again.
        """
        return ""

    def delete(self, resource: Resource) -> None:
        raise NotImplementedError(f"{type(self).__name__} recorded {resource.kind} without delete")

    def create_servers(self, key: str = "provider") -> list[Server]:
        """The servers of the provider in this block, recorded for ``show`` and ``ssh``."""
        provider = self.deployment.provider(self.config[key])
        told = beforehand.ask(self.deployment, type(self), self.config)
        servers: list[Server] = provider.provide(beforehand=told)
        self.deployment.record_servers(servers)
        self.deployment.move(State.DEPLOYING)
        return servers

    def cleanup(self) -> None:
        """Undo :meth:`deploy`, also a half-done one; a second call is harmless.

        Our own resources go first, then the child deployments, then the provider's servers; a
        failure of one never keeps the next, all are raised together at the end.
        """
        undo_all(self.undoing())

    def undoing(self) -> list[Callable[[], None]]:
        """The parts of :meth:`cleanup` in their order."""
        undo: list[Callable[[], None]] = [self.release_all]
        undo += [child.destroy for child in reversed(self.deployment.children())]
        block = self.config.get("provider")
        if isinstance(block, Mapping):
            undo.append(lambda: self.deployment.provider(block).destroy_servers())
        return undo
