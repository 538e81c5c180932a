"""What all services of one cloud share: its nodes, its secrets, sections of their configs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rally_deploy.engines.distro.releases import Release
from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

REGION = "RegionOne"

#: Service -> the catalog's type, port, and path of its public URL.
APIS: Mapping[str, tuple[str, int, str]] = {
    "keystone": ("identity", 5000, "/v3"),
    "glance": ("image", 9292, ""),
    "placement": ("placement", 8778, ""),
    "nova": ("compute", 8774, "/v2.1"),
    "neutron": ("network", 9696, ""),
}

METADATA_PORT = 8775
BROKER_PORT = 5672


@dataclass(frozen=True)
class Node:
    """One server of the cloud as it was found. ``roles``: controller, compute."""

    server: Server
    shell: Shell = field(compare=False, repr=False)
    hostname: str
    address: str
    release: Release
    roles: frozenset[str]
    cores: int = 1
    kvm: bool = False

    @property
    def label(self) -> str:
        return self.server.label

    @property
    def ours(self) -> bool:
        """Made by us, so that all on it goes away with it."""
        return self.server.resource_id is not None

    def has(self, role: str) -> bool:
        return role in self.roles


@dataclass(frozen=True)
class Cloud:
    """The cloud to be made."""

    nodes: tuple[Node, ...]
    services: frozenset[str]
    secret: Callable[[str], str] = field(repr=False)
    virt_driver: str = "qemu"  # as asked for: fake, qemu, kvm; "" lets each compute see for itself
    workers: int = 1
    at: str = ""  # the address of a controller that is none of the nodes: these are its computes
    broker: str = ""  # the transport URL that such a controller has handed on

    @property
    def controller(self) -> Node:
        if self.at:
            raise ValueError(f"the controller is elsewhere, at {self.at}")
        return self.nodes[0]

    @property
    def controller_address(self) -> str:
        return self.at or self.controller.address

    @property
    def computes(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.has("compute"))

    @property
    def release(self) -> Release:
        return self.controller.release

    @property
    def alone(self) -> bool:
        """All in one: then nothing inside depends on the address.

        A controller without a compute is not: its computes come from outside.
        """
        return len(self.nodes) == 1 and not self.at and (
            bool(self.computes) or not self.has("nova"))

    @property
    def real(self) -> bool:
        """Whether its servers are guests that can be reached."""
        return self.has("nova") and self.virt_driver != "fake"

    def has(self, service: str) -> bool:
        return service in self.services

    def inner_host(self, node: Node) -> str:
        """Where a node finds the controller's services."""
        return "127.0.0.1" if node.has("controller") else self.controller_address

    def inner_url(self, service: str, node: Node) -> str:
        _, port, path = APIS[service]
        return f"http://{self.inner_host(node)}:{port}{path}"

    def public_url(self, service: str) -> str:
        _, port, path = APIS[service]
        return f"http://{self.controller_address}:{port}{path}"

    def catalog(self) -> dict[str, str]:
        """Type -> public URL."""
        return {
            kind: self.public_url(service)
            for service, (kind, _, _) in APIS.items() if self.has(service)
        }

    # Sections that many config files have

    def database(self, name: str, user: str = "") -> dict[str, Any]:
        password = quote(self.secret("database"), safe="")
        return {
            "connection":
                f"mysql+pymysql://{user or name}:{password}@127.0.0.1/{name}?charset=utf8",
            "max_pool_size": 5,
        }

    def transport_url(self, node: Node) -> str:
        return self.broker or self.broker_url(self.inner_host(node))

    def broker_url(self, host: str) -> str:
        password = quote(self.secret("rabbit"), safe="")
        return f"rabbit://openstack:{password}@{host}:{BROKER_PORT}/"

    def messaging(self, node: Node) -> dict[str, dict[str, Any]]:
        """The broker; durable queues, else agents that start first lose their first call."""
        return {
            "DEFAULT": {"transport_url": self.transport_url(node)},
            "oslo_messaging_rabbit": {"amqp_durable_queues": True},
            "oslo_messaging_notifications": {"driver": "noop"},
        }

    def user(self, service: str, node: Node) -> dict[str, Any]:
        """How a service logs in as itself."""
        return {
            "auth_type": "password",
            "auth_url": f"http://{self.inner_host(node)}:5000/v3",
            "username": service,
            "password": self.secret("service"),
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": REGION,
        }

    def authtoken(self, service: str, node: Node) -> dict[str, dict[str, Any]]:
        """How a service checks the tokens of others."""
        return {
            "keystone_authtoken": {
                **self.user(service, node),
                "www_authenticate_uri": self.public_url("keystone"),
                "service_token_roles": "service",
                "service_token_roles_required": True,
                "memcached_servers":
                    "127.0.0.1:11211" if node.has("controller") else None,
            }
        }
