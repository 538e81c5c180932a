"""FakeEngine and FakeProvider: whole plugins on a :class:`~rally_deploy.testing.world.World`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rally_deploy.engines.base import DeployEngine
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.testing.world import World

_WORLD_KEYS: Mapping[str, Any] = {
    "world": {"type": "string", "description": "the folder that is the outside world"},
    "delay_s": {"type": "number", "default": 0, "description": "seconds that each call takes"},
    "refuse": {"type": "string", "default": "", "description": "part of names that fail"},
}


class _InWorld(ResourceOwner):
    """What both fakes do: make and delete things of the world."""

    config: Mapping[str, Any]

    @property
    def world(self) -> World:
        return World(self.config["world"], self.config["delay_s"], self.config["refuse"])

    def _make(self, resource: Resource) -> Mapping[str, Any]:
        inside = resource.host.name if resource.host else None
        self.world.make(resource.name, inside=inside)
        return {"made": resource.name}

    def delete(self, resource: Resource) -> None:
        self.world.delete(resource.name)
        assert not self.world.exists(resource.name)


class FakeProvider(_InWorld, ServerProvider):
    """Servers that are files; a network and a key pair with them."""

    CONFIG_SCHEMA = {
        "type": "object",
        "required": ["type", "world"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "FakeProvider"},
            "amount": {"type": "integer", "minimum": 1, "default": 1, "description": "servers"},
            "host_provider": {"type": "object", "x-plugin": "provider", "description": "hosts"},
            "password": {"type": "string", "x-secret": True, "description": "of every server"},
            **_WORLD_KEYS,
        },
        "examples": [{"type": "FakeProvider", "world": "/tmp/world", "amount": 2}],
    }

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        hosts = self.config.get("host_provider")
        if hosts:
            self.deployment.provider(hosts, "host_provider").provide()
        self.create("fake_network", "net", self._make)
        self.create("fake_keypair", "key", self._make)
        return self.deployment.each(self._server, range(amount or self.config["amount"]))

    def _server(self, number: int) -> Server:
        made = self.create("fake_server", f"server-{number}", self._make)
        return Server(host=f"192.0.2.{number % 250 + 1}", name=made.name, connection="local",
                      password=self.config.get("password"), resource_id=made.id)


class FakeEngine(_InWorld, DeployEngine):
    """A cloud that is some files: packages on each server, and a DNS record outside of them."""

    CONFIG_SCHEMA = {
        "type": "object",
        "required": ["type", "provider", "world"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "FakeEngine"},
            "provider": {"type": "object", "x-plugin": "provider", "description": "servers"},
            "nodes": {
                "type": "array", "default": [], "description": "nested deployments",
                "items": {"type": "object", "x-plugin": "engine"},
            },
            "command": {
                "type": "array", "items": {"type": "string"}, "default": [],
                "description": "an argument list that is run on each server",
            },
            "beforehand": {
                "type": "array", "items": {"type": "string"}, "default": [],
                "description": "packages that it says it will install, on whatever release",
            },
            **_WORLD_KEYS,
        },
        "examples": [
            {
                "type": "FakeEngine",
                "world": "/tmp/world",
                "provider": {"type": "FakeProvider", "world": "/tmp/world"},
            }
        ],
    }

    @classmethod
    def packages_beforehand(cls, config: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return {"": config["beforehand"]}

    def deploy(self) -> dict[str, Any]:
        servers = self.create_servers()
        self.deployment.each(self._install, list(enumerate(servers)))
        self.create("fake_record", "dns", self._make)
        for number, node in enumerate(self.config["nodes"]):
            self.deployment.child(f"node-{number}", node).deploy()
        return {
            "admin": {
                "auth_url": "http://192.0.2.1/identity/v3",
                "username": "admin",
                "password": self.deployment.secret("admin_password"),
                "project_name": "admin",
            },
            "users": [],
            "services": {"identity": "http://192.0.2.1/identity"},
        }

    def _install(self, item: tuple[int, Server]) -> None:
        number, server = item
        with self.deployment.step("install packages", server):
            self.create("fake_packages", f"packages-{number}", self._make, on=server)
            if self.config["command"]:
                self.deployment.ssh(server).run(self.config["command"])


def plugin_path(folder: Path) -> str:
    """Make the fakes known to an ``rdeploy`` in another process: put this on its PYTHONPATH."""
    info = folder / "rally_deploy_fakes-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: rally-deploy-fakes\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[rally_deploy.engines]\nFakeEngine = rally_deploy.testing.fakes:FakeEngine\n"
        "[rally_deploy.providers]\nFakeProvider = rally_deploy.testing.fakes:FakeProvider\n"
    )
    return str(folder)
