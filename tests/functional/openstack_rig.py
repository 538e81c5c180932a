"""A cloud that DistroEngine made, as OpenStackProvider's tests see it from outside."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.openstack import OpenStackProvider
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import Patience
from rally_deploy.testing.contract import open_deployer, open_deployment
from rally_deploy.testing.fakes import plugin_path
from tests.functional.conftest import Rdeploy
from tests.functional.lxc_rig import ServersOnly


def no_patience() -> Patience:
    import time

    return Patience(time.sleep, lambda: None)


class RealCloud:
    """The administrator's project of a deployed cloud; ``home`` is where it was made from."""

    def __init__(self, rdeploy: Any, name: str) -> None:
        text = rdeploy("openrc", name).stdout
        shown = subprocess.run(
            ["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True
        ).stdout
        self.env = dict(
            line.split("=", 1) for line in shown.split("\0") if line.startswith("OS_"))

    @property
    def auth_url(self) -> str:
        return self.env["OS_AUTH_URL"]

    @property
    def password(self) -> str:
        return self.env["OS_PASSWORD"]

    def block(self, **keys: Any) -> dict[str, Any]:
        """A provider's block for one server of the guest image that comes with the cloud."""
        block = {
            "type": "OpenStackProvider", "deployment_name": "it", "user": "admin",
            "password": self.password, "tenant": "admin", "auth_url": self.auth_url,
            "flavor_id": "rdeploy-guest", "amount": 1, "image": {"uuid": self.guest_image},
            "wait_for_ssh": False, "timeout_s": 900, **keys,
        }
        return {key: value for key, value in block.items() if value is not None}

    @cached_property
    def client(self) -> Cloud:
        """Clients of our own, beside those under test."""
        return Cloud({
            "auth_url": self.auth_url, "user": "admin", "password": self.password,
            "tenant": "admin", "user_domain_name": "Default", "project_domain_name": "Default",
        }, no_patience())

    @cached_property
    def guest_image(self) -> str:
        found = self.client.glance.images.list(filters={"name": "rdeploy-guest"})
        return str(next(iter(found))["id"])

    def foreign_key(self, name: str) -> str:
        """A key pair that no deployment has made; a busy cloud's lost answers do not matter."""
        pairs = self.client.nova.keypairs

        def look() -> Any:
            return next((pair for pair in pairs.list() if pair.name == name), None)

        self.client.once(lambda: pairs.create(name), look, 5.0)
        return name

    def things(self) -> dict[str, list[str]]:
        """All in the project that a provider could have made."""
        client = self.client
        network = client.network
        return {
            "servers": sorted(s.name for s in client.nova.servers.list()),
            "key pairs": sorted(k.name for k in client.nova.keypairs.list()),
            "groups": sorted(g["name"] for g in network.list("security_groups")),
            "floating": sorted(f["floating_ip_address"] for f in network.list("floatingips")),
            "ports": sorted(p["id"] for p in network.list("ports")
                            if p["device_owner"].startswith("compute:") or not p["device_owner"]),
            "images": sorted(i["id"] for i in client.glance.images.list()),
        }


def deployer(folder: Any, watcher: Any = None) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    return open_deployer(folder, ServersOnly, OpenStackProvider, watcher=watcher)


def deployment(rig: Any, block: dict[str, Any]) -> tuple[Any, Any]:
    """A deployment with nothing but this provider, and the provider."""
    entity = open_deployment(rig, {"type": "ServersOnly", "provider": block})
    return entity, entity.provider(entity.config["provider"])


class Whole:
    """The real rdeploy with a config of the FakeEngine over this provider."""

    def __init__(self, folder: Path, block: dict[str, Any], **keys: Any) -> None:
        folder.mkdir()
        self.rdeploy = Rdeploy(folder / "home")
        self.rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
        self.file = self.rdeploy.config("cloud", {
            "type": "FakeEngine", "world": str(folder / "world"), "provider": block, **keys})

    def create(self, **options: Any) -> Any:
        return self.rdeploy("create", "--name", "it", "--file", self.file, **options)

    def destroy(self) -> Any:
        return self.rdeploy("destroy", "it", "--yes")
