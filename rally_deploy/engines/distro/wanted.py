"""What is wanted of a DistroEngine: its servers, their roles, secrets, what others ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.distro import clones, preflight, schema, software
from rally_deploy.engines.distro.cloud import REGION, Cloud, Node
from rally_deploy.errors import CloudBroken, EachFailed
from rally_deploy.hosts import own_names
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.model import Server

#: What the store calls the generated passwords; DevStack's nodes may share some of them.
_SECRETS = {
    "admin": "admin_password", "service": "service_password", "database": "database_password",
    "rabbit": "rabbit_password", "metadata": "metadata_secret",
}


@dataclass(frozen=True)
class Job:
    """A part of the work that others may go on beside."""

    name: str
    run: Callable[[], Any]


class DistroCloud(DeployEngine):
    """A cloud of the distribution's packages, from its config: what it is, not how it is made."""

    CONFIG_SCHEMA = schema.CONFIG_SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def check_as_controller(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.controller_mistakes(config)

    @classmethod
    def packages_beforehand(cls, config: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return software.beforehand(config)

    # What is to be made

    def _cloud(self, servers: list[Server]) -> Cloud:
        ssh = self.deployment.ssh
        nodes: list[Node] = self._together(*(
            Job(server.label, partial(preflight.look_at, server, ssh(server), roles))
            for server, roles in zip(servers, self._roles(len(servers)), strict=True)
        ))
        own_names.require_own_names(nodes)
        return Cloud(
            tuple(nodes), frozenset(self.config["services"]), self._secret,
            self.config["virt_driver"], self.config["workers"], self._elsewhere,
            self.deployment.handed.get("controller_transport_url", ""),
        )

    @property
    def _elsewhere(self) -> str:
        """The address of the controller, if that is no server of ours."""
        given: str = self.config.get("controller", "")
        return given or self.deployment.handed.get("controller_ip", "")

    def _roles(self, count: int) -> list[frozenset[str]]:
        first = "compute" if self._elsewhere else "all" if count == 1 else "controller"
        wanted = self.config["roles"] or [first, *["compute"] * (count - 1)]
        if len(wanted) != count:
            raise CloudBroken(
                f"'roles' names {len(wanted)} servers, the provider gave {count}",
                remedy="make 'roles' as long as there are servers, or leave it out",
            )
        return [
            frozenset({"controller", "compute"}) if role == "all" else frozenset({role})
            for role in wanted
        ]

    def _secret(self, name: str) -> str:
        given = self.config["passwords"].get(name) or self.deployment.handed.get(
            f"controller_{name}_password")
        return given or self.deployment.secret(_SECRETS[name])

    def _login(self, cloud: Cloud) -> dict[str, str]:
        return {
            "auth_url": cloud.public_url("keystone"), "username": "admin",
            "password": self._secret("admin"), "project_name": "admin",
            "user_domain_name": "Default", "project_domain_name": "Default",
            "region_name": REGION,
        }

    def _remote(self, cloud: Cloud) -> RemoteCloud:
        return RemoteCloud(cloud.controller.shell, self._login(cloud))

    # What outer engines ask

    def hand_on(self) -> dict[str, str]:
        cloud = self._cloud(self.deployment.servers())
        return {
            "controller_ip": cloud.controller_address,
            "controller_host": cloud.controller.hostname,
            "controller_auth_url": cloud.public_url("keystone"),
            "controller_transport_url": cloud.broker_url(cloud.controller_address),
            **{f"controller_{name}_password": self._secret(name)
               for name in ("admin", "service", "database", "rabbit")},
        }

    def compute_hosts(self) -> list[str]:
        servers = self.deployment.servers()
        roles = self._roles(len(servers))
        computes = [s for s, role in zip(servers, roles, strict=True) if "compute" in role]
        return self.deployment.each(
            lambda server: self.deployment.ssh(server).run(["uname", "-n"]).stdout.strip(),
            computes,
        )

    def clone_script(self) -> str:
        return clones.SCRIPT

    def _together(self, *jobs: Job) -> list[Any]:
        """Run the jobs at the same time; if one of them fails, its own error tells it best."""
        try:
            return self.deployment.each(lambda job: job.run(), jobs)
        except EachFailed as error:
            if len(error.failures) == 1:
                raise next(iter(error.failures.values()))[1] from error
            raise
