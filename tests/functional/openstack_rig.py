"""A cloud that an engine made, as OpenStackProvider's tests see it from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.openstack import OpenStackProvider, servers
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
    """The administrator's project of a deployed cloud, with an image and a flavor for guests."""

    def __init__(self, rdeploy: Any, name: str, image: str = "rdeploy-guest",
                 flavor: str = "rdeploy-guest") -> None:
        self._image, self._flavor = image, flavor
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

    @property
    def ca(self) -> str | None:
        """The file of the cloud's own CA, if it has one."""
        return self.env.get("OS_CACERT")

    def block(self, **keys: Any) -> dict[str, Any]:
        """A provider's block for one server of the guest image that comes with the cloud."""
        block = {
            "type": "OpenStackProvider", "deployment_name": "it", "user": "admin",
            "password": self.password, "tenant": "admin", "auth_url": self.auth_url,
            "https_cacert": self.ca, "flavor_id": self._flavor, "amount": 1,
            "image": {"uuid": self.guest_image}, "wait_for_ssh": False, "timeout_s": 900, **keys,
        }
        return {key: value for key, value in block.items() if value is not None}

    @cached_property
    def client(self) -> Cloud:
        """Clients of our own, beside those under test."""
        return Cloud({
            "auth_url": self.auth_url, "user": "admin", "password": self.password,
            "tenant": "admin", "user_domain_name": "Default", "project_domain_name": "Default",
            "https_cacert": self.ca,
        }, no_patience())

    @cached_property
    def guest_image(self) -> str:
        found = self.client.glance.images.list(filters={"name": self._image})
        return str(next(iter(found))["id"])

    def foreign_key(self, name: str) -> str:
        """A key pair that no deployment has made; a busy cloud's lost answers do not matter."""
        pairs = self.client.nova.keypairs

        def look() -> Any:
            return next((pair for pair in pairs.list() if pair.name == name), None)

        self.client.once(lambda: pairs.create(name), look, 5.0)
        return name

    @contextmanager
    def foreign_volumes(self) -> Iterator[Any]:
        """Yields what makes volumes of no deployment; they have to be there at the end."""
        client, ids = self.client, list[str]()

        def make(name: str, **keys: Any) -> str:
            body = {"volume": {"name": name, "size": 1, **keys}}
            ids.append(client.volumes.post("/volumes", body)["volume"]["id"])
            path = f"/volumes/{ids[-1]}"
            assert client.settled(
                lambda: client.volumes.get(path)["volume"]["status"] == "available", 60)
            return ids[-1]

        def there() -> set[str]:
            return set(ids) & {volume["id"] for volume in self.volumes()}

        yield make
        left = there()
        for one in left:
            client.volumes.delete(f"/volumes/{one}")
        assert left == set(ids)
        assert client.settled(lambda: not there(), 60)

    def things(self) -> dict[str, list[str]]:
        """All in the project that a provider could have made."""
        client = self.client
        network = client.network
        found = {
            "servers": sorted(s.name for s in client.nova.servers.list()),
            "key pairs": sorted(k.name for k in client.nova.keypairs.list()),
            "groups": sorted(g.name for g in network.security_groups()),
            "floating": sorted(f.floating_ip_address for f in network.ips()),
            "ports": sorted(p.id for p in network.ports()
                            if p.device_owner.startswith("compute:") or not p.device_owner),
            "images": sorted(i["id"] for i in client.glance.images.list()),
        }
        if client.endpoint("block-storage"):
            found["volumes"] = sorted(v["id"] for v in self.volumes())
        return found

    @contextmanager
    def left_as_it_was(self) -> Iterator[dict[str, list[str]]]:
        """What is in the project at the beginning is all that is in it at the end."""
        before = self.things()
        yield before
        now = self.things()
        changed = {kind: (before.get(kind), now.get(kind)) for kind in before | now
                   if before.get(kind) != now.get(kind)}
        assert not changed, changed

    def volumes(self) -> list[dict[str, Any]]:
        return servers.list_volumes(self.client)

    def volumes_of(self, entity: Any) -> dict[str, dict[str, Any]]:
        """Name -> volume, of those that carry the mark of this deployment."""
        return {v["name"]: v for v in self.volumes()
                if v["metadata"].get("rdeploy") == entity.uuid}


def deployer(folder: Any, watcher: Any = None) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    return open_deployer(folder, ServersOnly, OpenStackProvider, watcher=watcher)


def deployment(rig: Any, block: dict[str, Any]) -> tuple[Any, Any]:
    """A deployment with nothing but this provider, and the provider."""
    entity = open_deployment(rig, {"type": "ServersOnly", "provider": block})
    return entity, entity.provider(entity.config["provider"])


@contextmanager
def deployments(folder: Any, cloud: RealCloud) -> Iterator[Any]:
    """Yields what makes deployments with this provider alone; all are destroyed at the end."""
    entities = []
    with deployer(folder) as rig:

        def make(**keys: Any) -> tuple[Any, Any]:
            entity, provider = deployment(rig, cloud.block(**keys))
            entities.append(entity)
            return entity, provider

        yield make
        for entity in entities:
            entity.provider(entity.config["provider"]).destroy_servers()
            rig.store.resources.assert_all_gone(entity.uuid)


class Whole:
    """The real rdeploy with a config of the FakeEngine over this provider."""

    def __init__(self, folder: Path, block: Mapping[str, Any], **keys: Any) -> None:
        folder.mkdir()
        self.rdeploy = Rdeploy(folder / "home")
        self.rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
        self.file = self.rdeploy.config("cloud", {
            "type": "FakeEngine", "world": str(folder / "world"), "provider": block, **keys})

    def create(self, **options: Any) -> Any:
        return self.rdeploy("create", "--name", "it", "--file", self.file, **options)

    def killed(self, point: int, calls: str = "") -> bool:
        """A create that ends there; True if that point was reached."""
        return self.rdeploy.killed(
            point, "create", "--name", "it", "--file", self.file, calls=calls)

    def destroy(self) -> Any:
        return self.rdeploy("destroy", "it", "--yes")
