"""LxcProvider: containers on the hosts of another provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rally_deploy.hosts.lxc_fleet import Containers
from rally_deploy.hosts.lxc_place import Place, Spot, name_part, problems_of
from rally_deploy.hosts.lxc_schema import PROVIDER_SCHEMA
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.base import ServerProvider


class LxcProvider(ServerProvider):
    """LXC containers, cloned from a base that each host makes once and keeps."""

    CONFIG_SCHEMA = PROVIDER_SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return problems_of(config)

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Containers that answer over SSH; ``amount`` of them over all hosts, if it is given."""
        deployment = self.deployment
        containers = Containers(self, self.config, self.beforehand)
        hosts = deployment.provider(self.config["host_provider"], "host_provider").provide()
        places = containers.prepare(hosts)
        wanted = [
            Spot(place, number, self._name(place, number))
            for place in places for number in range(self._share(place.number, len(hosts), amount))
        ]
        with deployment.step(f"make {len(wanted)} containers"):
            rows = containers.make(wanted)
        with deployment.step("wait until their SSH servers answer"):
            return containers.servers(rows)

    def _share(self, number: int, hosts: int, amount: int | None) -> int:
        per_host: int = self.config["containers_per_host"]
        if amount is None:
            return per_host
        return amount // hosts + (1 if number < amount % hosts else 0)

    def _name(self, place: Place, number: int) -> str:
        """The key of a container, which its name ends with."""
        prefix = name_part(self.config["container_name_prefix"])
        key = f"{place.number}-{number:03d}"
        return key if prefix in ("", "rd") else f"{prefix}-{key}"

    def delete(self, resource: Resource) -> None:
        Containers(self, self.config).delete(resource)
