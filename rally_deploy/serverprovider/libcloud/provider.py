"""The runbook: from a block to servers that answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.libcloud import drivers, schema
from rally_deploy.serverprovider.libcloud.choice import Choice, choose
from rally_deploy.serverprovider.libcloud.cloud import Cloud
from rally_deploy.serverprovider.libcloud.ec2 import first_location, is_ec2
from rally_deploy.serverprovider.libcloud.machines import (
    KEY_PAIR,
    LISTS,
    NODE,
    VOLUME,
    Machines,
)
from rally_deploy.serverprovider.libcloud.places import PLACE, require_free, take_places
from rally_deploy.serverprovider.libcloud.userdata import userdata
from rally_deploy.serverprovider.libcloud.waiting import await_running, wait_for_login
from rally_deploy.ssh import keys

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.hosts.tagged import Tagged

#: How many calls there are at the same time, of which each has a driver of its own.
_WIDTH = 8

#: How long a look at what is left on a cloud tries again.
_LOOK_S = 30.0

#: What was recorded so long ago and is not listed does not come up any more.
_ON_ITS_WAY = timedelta(hours=1)


class LibcloudProvider(ServerProvider):
    """Servers of any cloud that apache-libcloud has a driver for."""

    CONFIG_SCHEMA = schema.SCHEMA

    def __init__(self, deployment: Deployment, config: Mapping[str, Any]) -> None:
        super().__init__(deployment, config)
        self._volumes_of: dict[str, list[Resource]] = {}
        self._settled_at = 0.0

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def config_warnings(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.warnings(config)

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Servers that run, have an address, and (with ``wait_for_ssh``) let us log in."""
        self._begin()
        deployment, config = self.deployment, self.config
        wanted = [f"server-{number}" for number in range(amount or config["amount"])]
        with deployment.step(f"look at the cloud ({config['driver']})"):
            choice = self._choose(image_uuid or config["image"], type_id or config["size"])
            self._drop_broken()
            self._refuse_foreign(wanted)
        take_places(deployment, config, wanted)
        key_name = self._key_pair()
        if config["volumes"]["count"]:
            with deployment.step("make volumes"):
                found = deployment.each(
                    lambda server: self._volumes(server, choice), wanted, _WIDTH)
                self._volumes_of = dict(zip(wanted, found, strict=True))
        with deployment.step(f"make {len(wanted)} servers"):
            rows = deployment.each(
                lambda server: self._node(server, choice, key_name), wanted, _WIDTH)
        with deployment.step("wait until the servers run"):
            nodes = await_running(deployment, self._machines, rows, config["ssh_interface"],
                                  config["timeout_s"])
        if self._volumes_of:
            with deployment.step("attach the volumes"):
                deployment.each(lambda row: self._attach(row, nodes[row.id]), rows, _WIDTH)
        servers = [self._server(row, nodes[row.id]) for row in rows]
        if config["wait_for_ssh"]:
            with deployment.step("wait until the servers let us log in"):
                deployment.each(self._log_in, servers)
        return servers

    def destroy_servers(self) -> None:
        self._begin()
        super().destroy_servers()

    def delete(self, resource: Resource) -> None:
        if resource.kind == PLACE:
            require_free(self.deployment, resource)
        else:
            self._machines.delete(resource, self._settles_in_s(resource))

    def place(self) -> str:
        return drivers.place(self.config["driver"], self.config["driver_args"])

    def tagged(self) -> list[Tagged]:
        from rally_deploy.serverprovider.libcloud.tagged import list_tagged

        # A cloud that is away is told soon.
        return list_tagged(Cloud(self.deployment, self.config, _LOOK_S))

    def _begin(self) -> None:
        """A create or a destroy starts; what a killed one has sent comes up soon."""
        self._settled_at = time.monotonic() + self._cloud.settle_s

    def _settles_in_s(self, row: Resource) -> float:
        """How long the thing of a row that is not listed may still come up."""
        if datetime.now(timezone.utc) - row.created_at > _ON_ITS_WAY:
            return 0.0
        return max(0.0, self._settled_at - time.monotonic())

    @cached_property
    def _cloud(self) -> Cloud:
        return Cloud(self.deployment, self.config)

    @cached_property
    def _machines(self) -> Machines:
        return Machines(self.deployment, self._cloud)

    # What is to be made, and whether it may be

    def _choose(self, image: Any, size: Any) -> Choice:
        choice = choose(self._cloud, self.config, image, size)
        if is_ec2(self._cloud.driver_class) and not choice.location:
            location = self._cloud.ask("list locations", first_location)
            choice = Choice(
                choice.image, choice.size, choice.networks, choice.groups, location)
        self.deployment.note(f"image {choice.image.name or choice.image.id}, "
                             f"size {choice.size.name or choice.size.id}")
        return choice

    def _drop_broken(self) -> None:
        """Remove what an earlier run has left that will never work; it is made anew."""
        deployment, ledger = self.deployment, self.deployment.ledger
        rows = [row for row in ledger.alive()
                if row.kind in LISTS and row.state is ResourceState.LIVE]
        broken = deployment.each(
            lambda row: self._machines.is_broken(row, self._settles_in_s(row)), rows, _WIDTH)
        bad = [row for row, is_broken in zip(rows, broken, strict=True) if is_broken]
        for row in bad:
            deployment.note(f"{row.name} is gone or in error, and is made anew", warning=True)
        for kind in LISTS:
            deployment.each(lambda row: ledger.release(row, self.delete),
                            [row for row in bad if row.kind == kind], _WIDTH)

    def _refuse_foreign(self, servers: Sequence[str]) -> None:
        """What carries a name of ours before we made it is somebody else's."""
        ledger = self.deployment.ledger
        recorded = {row.name for row in ledger.alive()}
        wanted = {
            KEY_PAIR: {ledger.name("key")} if self._has_key_pairs else set(),
            VOLUME: {
                ledger.name(key) for server in servers for key in self._volume_keys(server)},
            NODE: set(map(ledger.name, servers)),
        }
        for kind, names in wanted.items():
            if names - recorded:
                self._machines.refuse_foreign(kind, names - recorded)

    # Key pair, volumes, servers

    @property
    def _has_key_pairs(self) -> bool:
        cloud = self._cloud
        return cloud.takes("create_node", "ex_keyname") and all(map(
            cloud.can, ("import_key_pair_from_string", "list_key_pairs", "delete_key_pair")))

    def _private_key(self) -> str:
        return self.deployment.secret("ssh_private_key", keys.make_private_key)

    def _key_pair(self) -> str:
        """The name of the key pair, or nothing where the driver knows none."""
        if not self._has_key_pairs:
            return ""
        name = self.deployment.ledger.name("key")
        public = keys.public_key(self._private_key(), name)
        with self.deployment.step("import the key pair"):
            self.create(KEY_PAIR, "key",
                        lambda row: self._machines.make_key_pair(row, public))
        return name

    def _volume_keys(self, server: str) -> list[str]:
        of = server.replace("server", "volume")
        return [f"{of}-{n}" for n in range(self.config["volumes"]["count"])]

    def _volumes(self, server: str, choice: Choice) -> list[Resource]:
        size = self.config["volumes"]["size"]
        return [
            self.create(VOLUME, key,
                        lambda row: self._machines.make_volume(row, size, choice))
            for key in self._volume_keys(server)
        ]

    def _node(self, server: str, choice: Choice, key_name: str) -> Resource:
        public = keys.public_key(self._private_key(), self.deployment.ledger.name("key"))
        told = userdata(self.config, str(choice.image.name), public)
        return self.create(
            NODE, server,
            lambda row: self._machines.make_node(row, choice, key_name, told))

    def _attach(self, row: Resource, node: Any) -> None:
        for number, volume in enumerate(self._volumes_of[row.key]):
            # A server that was made anew has another id.
            if volume.facts.get("attached") != str(node.id):
                self._machines.attach(volume, node, number)
                self.deployment.ledger.update(volume, {"attached": str(node.id)})

    def _server(self, row: Resource, node: Any) -> Server:
        user = self.config["login_user"]
        return Server(
            host=str(getattr(node, self.config["ssh_interface"])[0]), user=user, name=row.name,
            private_key=self._private_key(), become=user != "root", resource_id=row.id,
        )

    def _log_in(self, server: Server) -> None:
        with self.deployment.step("log in", server):
            wait_for_login(self.deployment, server, self.config["timeout_s"])
