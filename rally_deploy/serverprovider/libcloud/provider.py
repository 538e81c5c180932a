"""The runbook: from a block to servers that answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    RallyDeployError,
    Unreachable,
)
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.libcloud import drivers, schema
from rally_deploy.serverprovider.libcloud.choice import Choice, choose
from rally_deploy.serverprovider.libcloud.cloud import Cloud, CloudFailed
from rally_deploy.serverprovider.libcloud.ec2 import first_location, is_ec2
from rally_deploy.serverprovider.libcloud.machines import Machines
from rally_deploy.serverprovider.libcloud.userdata import userdata
from rally_deploy.ssh import keys

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: How many calls there are at the same time, of which each has a driver of its own.
_WIDTH = 8
_POLL_S = 3.0
_LOGIN_POLL_S = 2.0

#: What a server does that has not told its SSH server our key yet.
_NOT_YET = (Unreachable, ConnectionLost, AuthenticationFailed, CommandFailed)


class LibcloudProvider(ServerProvider):
    """Servers of any cloud that apache-libcloud has a driver for."""

    CONFIG_SCHEMA = schema.SCHEMA

    def __init__(self, deployment: Deployment, config: Mapping[str, Any]) -> None:
        super().__init__(deployment, config)
        self._volumes_of: dict[str, list[Resource]] = {}

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
        deployment, config = self.deployment, self.config
        wanted = [f"server-{number}" for number in range(amount or config["amount"])]
        with deployment.step(f"look at the cloud ({config['driver']})"):
            choice = self._choose(image_uuid or config["image"], type_id or config["size"])
            self._refuse_foreign(wanted)
        self._take_places(wanted)
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
            nodes = self._running(rows)
        if self._volumes_of:
            with deployment.step("attach the volumes"):
                deployment.each(lambda row: self._attach(row, nodes[row.id]), rows, _WIDTH)
        servers = [self._server(row, nodes[row.id]) for row in rows]
        if config["wait_for_ssh"]:
            with deployment.step("wait until the servers let us log in"):
                deployment.each(self._log_in, servers)
        return servers

    def delete(self, resource: Resource) -> None:
        if resource.kind != "libcloud_place":
            self._machines.delete(resource)

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

    def _refuse_foreign(self, servers: Sequence[str]) -> None:
        """What carries a name of ours before we made it is somebody else's."""
        ledger = self.deployment.ledger
        recorded = {row.name for row in ledger.alive()}
        wanted = {
            "libcloud_key_pair": {ledger.name("key")} if self._has_key_pairs else set(),
            "libcloud_volume": {
                ledger.name(key) for server in servers for key in self._volume_keys(server)},
            "libcloud_node": set(map(ledger.name, servers)),
        }
        for kind, names in wanted.items():
            if names - recorded:
                self._machines.refuse_foreign(kind, names - recorded)

    def _take_places(self, servers: Sequence[str]) -> None:
        at_most = self.config.get("max_nodes")
        if not at_most:
            return
        pool = self.config.get("pool") or drivers.fingerprint(
            self.config["driver"], self.config["driver_args"])

        def claim() -> bool:
            return self.deployment.ledger.claim("libcloud_place", servers, pool, at_most)

        if claim():
            return
        missing = f"{len(servers)} of the {at_most} places of {pool}"
        if not self.deployment.waits_for_places:
            raise RallyDeployError(
                f"there are no {missing} free ('max_nodes')",
                remedy="destroy what is not needed any more, or resume with --wait",
            )
        with self.deployment.step(f"wait for {missing}"):
            self.deployment.wait(claim, math.inf, missing, interval_s=_POLL_S)

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
            self.create("libcloud_key_pair", "key",
                        lambda row: self._machines.make_key_pair(row, public))
        return name

    def _volume_keys(self, server: str) -> list[str]:
        of = server.replace("server", "volume")
        return [f"{of}-{n}" for n in range(self.config["volumes"]["count"])]

    def _volumes(self, server: str, choice: Choice) -> list[Resource]:
        size = self.config["volumes"]["size"]
        return [
            self.create("libcloud_volume", key,
                        lambda row: self._machines.make_volume(row, size, choice))
            for key in self._volume_keys(server)
        ]

    def _node(self, server: str, choice: Choice, key_name: str) -> Resource:
        public = keys.public_key(self._private_key(), self.deployment.ledger.name("key"))
        told = userdata(self.config, str(choice.image.name), public)
        return self.create(
            "libcloud_node", server,
            lambda row: self._machines.make_node(row, choice, key_name, told))

    def _running(self, rows: Sequence[Resource]) -> dict[int, Any]:
        """The libcloud node of each row, once it runs and has an address."""
        interface, missing = self.config["ssh_interface"], list(rows)
        found: dict[int, Any] = {}
        seen: set[int] = set()

        def look() -> bool:
            for row in list(missing):
                node = self._machines.find(row)
                if node is None and row.id not in seen:
                    continue  # a cloud may list a new server a little later
                seen.add(row.id)
                if node is None or str(node.state).lower() == "error":
                    raise _failed(row, node)
                if str(node.state).lower() == "running" and getattr(node, interface):
                    found[row.id] = node
                    missing.remove(row)
            return not missing

        self.deployment.wait(
            look, self.config["timeout_s"],
            f"servers that run and have one of their {interface}", interval_s=_POLL_S)
        return found

    def _attach(self, row: Resource, node: Any) -> None:
        for number, volume in enumerate(self._volumes_of[row.key]):
            if not volume.facts.get("attached"):
                self._machines.attach(volume, node, number)
                self.deployment.ledger.update(volume, {"attached": row.name})

    def _server(self, row: Resource, node: Any) -> Server:
        user = self.config["login_user"]
        return Server(
            host=str(getattr(node, self.config["ssh_interface"])[0]), user=user, name=row.name,
            private_key=self._private_key(), become=user != "root", resource_id=row.id,
        )

    def _log_in(self, server: Server) -> None:
        with self.deployment.step("log in", server):
            self.deployment.wait(
                lambda: self.deployment.ssh(server).run(["true"], quiet=True).ok,
                self.config["timeout_s"], f"{server.label} lets us log in",
                interval_s=_LOGIN_POLL_S, tolerate=_NOT_YET)


def _failed(row: Resource, node: Any) -> CloudFailed:
    if node is None:
        return CloudFailed(
            f"the server {row.name} is gone", "somebody else has removed it",
            "destroy the deployment, then create it again",
        )
    fault = (node.extra or {}).get("fault") or {}
    said = fault.get("message", "") if isinstance(fault, Mapping) else str(fault)
    return CloudFailed(
        f"the cloud could not start {row.name}: {said or 'it says no more'}",
        remedy="look at the cloud's own log; another size or image may do",
    )
