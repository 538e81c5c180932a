"""The runbook: from a cloud's login to servers that let us in, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rally_deploy.hosts.tagged import Tagged
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.serverprovider.openstack import schema
from rally_deploy.serverprovider.openstack.parts import (
    ADDRESS,
    GROUP,
    KEY,
    SERVER,
    VOLUME,
    CloudParts,
    Part,
    Spot,
    slug,
)
from rally_deploy.serverprovider.openstack.refusal import Patience, ServerFailed

if TYPE_CHECKING:
    from rally_deploy.serverprovider.openstack.preflight import Found

#: How long a look at what is left on a cloud tries again.
_LOOK_S = 30.0


class OpenStackProvider(CloudParts):
    """Servers of an OpenStack cloud, with all that they need."""

    CONFIG_SCHEMA = schema.SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def config_warnings(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.warnings(config)

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """What would be made on which cloud."""
        where = config.get("cloud") or config.get("auth_url")
        yield f"{config['amount']} servers of flavor {config['flavor_id']} on {where}"
        image = config["image"]
        yield f"image: {image.get('uuid') or image.get('name') or image.get('checksum')}"
        if config.get("floating_network"):
            yield f"a floating address of {config['floating_network']} for each"

    # Create

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Servers that let us in; those that are there already and work are kept."""
        from rally_deploy.serverprovider.openstack import waiting

        self._begin(self.config["timeout_s"])
        deployment, step, uuid = self.deployment, self.deployment.step, self.deployment.uuid
        for path, text in self.config_warnings(self.config):
            deployment.note(f"{path}: {text}", warning=True)
        spots = self._spots(amount or self.config["amount"])
        with step("log in to the cloud"):
            self._cloud.log_in()
        with step("look at what the cloud has"):
            self._drop_broken(spots)
            self._drop_broken_volumes()
            found = self._look(spots, image_uuid or "", type_id or "")
        with step("image, key pair and security group"):
            image, key, group = self._together(
                Part("image", partial(self._image, found)), Part("key pair", self._key_pair),
                Part("security group", partial(self._group, found)),
            )
        if found.floating_network:
            with step(f"{len(spots)} floating addresses"):
                deployment.each(partial(self._floating_ip, found), spots)
        if self.config.get("volume_size_gb"):
            with step(f"make {len(spots)} boot volumes"):
                deployment.each(partial(self._volume, found, image), spots)
                waiting.await_volumes(self._cloud, self._waiting_volumes(), uuid)
        with step(f"make {len(spots)} servers"):
            rows = deployment.each(partial(self._server, found, image, key, group), spots)
        with step("wait until they are active"):
            there = waiting.await_settled(self._cloud, self._roster, rows, uuid)
            active = deployment.each(partial(waiting.active, self._cloud, there), rows)
        servers = self._addressed(rows, active, found.networks)
        if self.config["wait_for_ssh"]:
            self._await_work(servers)
        return servers

    def _spots(self, amount: int) -> list[Spot]:
        stem = slug(self.config["deployment_name"])
        keys = [f"{stem}-{number:03d}" for number in range(amount)]
        return [Spot(key, self.deployment.ledger.name(key)) for key in keys]

    def _drop_broken(self, spots: Sequence[Spot]) -> None:
        """Remove what an earlier run has left that will never work; it is made anew."""
        from rally_deploy.serverprovider.openstack.servers import mine

        rows = self._rows(SERVER)
        if not rows:
            return
        there = self._roster.look(time.monotonic())

        def broken(row: Resource) -> bool:
            found = mine(there, row, self.deployment.uuid)
            return len(found) != 1 or found[0].status in ("ERROR", "DELETED", "SOFT_DELETED")

        self._release(
            row for spot in spots if (row := rows.get(spot.key))
            and (row.state is not ResourceState.LIVE or broken(row))
        )

    def _drop_broken_volumes(self) -> None:
        """The same of boot volumes."""
        from rally_deploy.serverprovider.openstack.servers import META, list_volumes

        rows = [row for row in self._waiting_volumes() if row.state is ResourceState.LIVE]
        if not rows:
            return
        good = {
            volume["id"] for volume in list_volumes(self._cloud)
            if volume["metadata"].get(META) == self.deployment.uuid
            # Reserved: for a server that is no more.
            and not volume["status"].startswith(("error", "reserved"))
        }
        self._release(row for row in rows if row.facts["id"] not in good)

    def _waiting_volumes(self) -> list[Resource]:
        """Those without a server: one that works keeps its own, whatever Cinder says of it."""
        servers = self._rows(SERVER)
        return [row for key, row in self._rows(VOLUME).items() if key not in servers]

    def _release(self, rows: Iterable[Resource]) -> None:
        ledger = self.deployment.ledger
        self.deployment.each(lambda row: ledger.release(row, self.delete), list(rows))

    def _look(self, spots: Sequence[Spot], image_uuid: str, type_id: str) -> Found:
        from rally_deploy.serverprovider.openstack import preflight

        alive = {kind: self._rows(kind) for kind in (SERVER, ADDRESS, VOLUME, GROUP, KEY)}

        def missing(kind: str) -> int:
            return sum(spot.key not in alive[kind] for spot in spots)

        outer = self.config.get("floating_network")
        wanted = preflight.Wanted(
            self.config, str(type_id or self.config["flavor_id"]),
            image_uuid or self.config["image"].get("uuid", ""), missing(SERVER),
            missing(ADDRESS) if outer else 0,
            missing(VOLUME) if self.config.get("volume_size_gb") else 0, not alive[GROUP],
            not alive[KEY],
        )
        found = preflight.look(self._cloud, wanted, self.deployment.each)
        for text in found.warnings:
            self.deployment.note(text, warning=True)
        return found

    # Servers that are there

    def _addressed(
        self, rows: Sequence[Resource], active: Sequence[Any], networks: Sequence[str]
    ) -> list[Server]:
        """The servers, each with the address by which it is reached."""
        from rally_deploy.serverprovider.openstack import network
        from rally_deploy.serverprovider.openstack.servers import address_of

        floating = self._rows(ADDRESS) if self.config.get("floating_network") else {}
        if floating:
            with self.deployment.step("bind the floating addresses"):
                ports = network.ports_of(self._cloud, [server.id for server in active])
                there = network.bound(self._cloud)
                self.deployment.each(
                    lambda pair: network.bind(
                        self._cloud, floating[pair[0].key], ports[pair[1].id], networks, there),
                    list(zip(rows, active, strict=True)),
                )
        login = self._login

        def server(row: Resource, there: Any) -> Server:
            outer = floating[row.key].facts["address"] if floating else ""
            address, fixed = address_of(there, outer)
            if not address:
                raise ServerFailed(f"{row.name} has no address", remedy="look at its networks")
            user = self.config["login_user"]
            facts = {"instance_id": there.id, "address": fixed, "floating_address": outer,
                     "availability_zone": getattr(there, "OS-EXT-AZ:availability_zone", "") or ""}
            return Server(
                host=address, user=user, name=row.name, key=login.path, become=user != "root",
                private_key=login.private, resource_id=row.id,
                facts={name: value for name, value in facts.items() if value},
            )

        return [server(row, there) for row, there in zip(rows, active, strict=True)]

    def _await_work(self, servers: Sequence[Server]) -> None:
        """Until all are fit for work: they let us in, and their cloud-init has ended."""
        from rally_deploy.serverprovider.openstack.cloud_init import wait_for_cloud_init
        from rally_deploy.serverprovider.openstack.readiness import wait_for_login
        from rally_deploy.serverprovider.openstack.servers import console_of

        def until(wait: Callable[..., None], server: Server) -> None:
            wait(self.deployment, server, self._patience,
                 lambda: console_of(self._cloud, server.facts["instance_id"]))

        with self.deployment.step("wait until they let us in"):
            self.deployment.each(partial(until, wait_for_login), servers)
        if self.config["wait_for_cloud_init"]:
            with self.deployment.step("wait for the end of their cloud-init"):
                self.deployment.each(partial(until, wait_for_cloud_init), servers)

    def place(self) -> str:
        return schema.place(self.config)

    def tagged(self) -> list[Tagged]:
        from rally_deploy.serverprovider.openstack.cloud import Cloud
        from rally_deploy.serverprovider.openstack.tagged import list_tagged

        # A look is no event of the deployment, and a cloud that is away is told soon.
        patience = Patience(self._patience.sleep, self.deployment.check_cancelled)
        patience.begin(_LOOK_S)
        cloud = Cloud(self.config, patience, self.deployment.mask.add)
        cloud.log_in()
        return list_tagged(cloud)
