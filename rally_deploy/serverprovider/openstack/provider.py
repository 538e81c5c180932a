"""The runbook: from a cloud's login to servers that let us in, and back."""

from __future__ import annotations

import re
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import EachFailed
from rally_deploy.hosts.tagged import Tagged
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.openstack import readiness, schema
from rally_deploy.serverprovider.openstack.keys import LoginKey, login_key
from rally_deploy.serverprovider.openstack.refusal import Patience, ServerFailed

if TYPE_CHECKING:
    from rally_deploy.serverprovider.openstack.cloud import Cloud
    from rally_deploy.serverprovider.openstack.images import Image
    from rally_deploy.serverprovider.openstack.preflight import Found
    from rally_deploy.serverprovider.openstack.servers import Roster

IMAGE, KEY, GROUP, ADDRESS, VOLUME, SERVER = (
    f"openstack_{kind}" for kind in
    ("image", "key_pair", "security_group", "floating_ip", "volume", "server")
)


@dataclass(frozen=True)
class Spot:
    """One of the servers to be."""

    key: str
    label: str


@dataclass(frozen=True)
class Part:
    """Something to be made that others may be made beside."""

    label: str
    make: Callable[[], str]


class OpenStackProvider(ServerProvider):
    """Servers of an OpenStack cloud, with all that they need."""

    CONFIG_SCHEMA = schema.SCHEMA

    #: How long a request whose answer was lost may still be on its way to take effect. What was
    #: recorded but never seen is looked for that long before it counts as not there.
    settle_s = 10.0

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

    # What all parts use

    @cached_property
    def _patience(self) -> Patience:
        deployment = self.deployment

        def sleep(seconds: float) -> None:
            end = time.monotonic() + seconds
            deployment.wait(lambda: time.monotonic() >= end, seconds + 60, "a pause",
                            interval_s=max(0.01, min(seconds, 0.5)))

        return Patience(sleep, deployment.check_cancelled,
                        lambda text: deployment.note(text, warning=True))

    @cached_property
    def _cloud(self) -> Cloud:
        from rally_deploy.serverprovider.openstack.cloud import Cloud

        return Cloud(self.config, self._patience)

    @cached_property
    def _roster(self) -> Roster:
        from rally_deploy.serverprovider.openstack.servers import Roster, list_servers

        return Roster(partial(list_servers, self._cloud, self.deployment.ledger.name("")))

    @cached_property
    def _login(self) -> LoginKey:
        return login_key(self.config, self.deployment.secret)

    # Create

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Servers that let us in; those that are there already and work are kept."""
        self._patience.begin(self.config["timeout_s"])
        from rally_deploy.serverprovider.openstack import waiting

        deployment, step, uuid = self.deployment, self.deployment.step, self.deployment.uuid
        for path, text in self.config_warnings(self.config):
            deployment.note(f"{path}: {text}", warning=True)
        spots = self._spots(amount or self.config["amount"])
        with step("log in to the cloud"):
            self._cloud.log_in()
        with step("look at what the cloud has"):
            self._drop_broken(spots)
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
                deployment.each(partial(self._volume, image), spots)
                waiting.await_volumes(self._cloud, self._rows(VOLUME).values(), uuid)
        with step(f"make {len(spots)} servers"):
            rows = deployment.each(partial(self._server, found, image, key, group), spots)
        with step("wait until they are active"):
            there = waiting.await_settled(self._cloud, self._roster, rows, uuid)
            active = deployment.each(partial(waiting.active, self._cloud, there), rows)
        servers = self._addressed(rows, active)
        if self.config["wait_for_ssh"]:
            with step("wait until they let us in"):
                deployment.each(self._ready, servers)
        return servers

    def _spots(self, amount: int) -> list[Spot]:
        slug = _slug(self.config["deployment_name"])
        keys = [f"{slug}-{number:03d}" for number in range(amount)]
        return [Spot(key, self.deployment.ledger.name(key)) for key in keys]

    def _rows(self, kind: str) -> dict[str, Resource]:
        return {row.key: row for row in self.deployment.ledger.alive(kind)}

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

        bad = [
            row for spot in spots if (row := rows.get(spot.key))
            and (row.state is not ResourceState.LIVE or broken(row))
        ]
        ledger = self.deployment.ledger
        self.deployment.each(lambda row: ledger.release(row, self.delete), bad)

    def _look(self, spots: Sequence[Spot], image_uuid: str, type_id: str) -> Found:
        from rally_deploy.serverprovider.openstack import preflight

        alive = {kind: self._rows(kind) for kind in (SERVER, ADDRESS, VOLUME, GROUP)}

        def missing(kind: str) -> int:
            return sum(spot.key not in alive[kind] for spot in spots)

        outer = self.config.get("floating_network")
        wanted = preflight.Wanted(
            self.config, str(type_id or self.config["flavor_id"]),
            image_uuid or self.config["image"].get("uuid", ""), missing(SERVER),
            missing(ADDRESS) if outer else 0,
            missing(VOLUME) if self.config.get("volume_size_gb") else 0, not alive[GROUP],
        )
        found = preflight.look(self._cloud, wanted, self.deployment.each)
        for text in found.warnings:
            self.deployment.note(text, warning=True)
        return found

    # The parts

    def _image(self, found: Found) -> str:
        """The id of the image; uploaded if the cloud has none of its checksum."""
        from rally_deploy.serverprovider.openstack import download, images

        row = self._rows(IMAGE).get("image")
        if row and row.state is ResourceState.RELEASING:
            self.deployment.ledger.release(row, self.delete)
            found.image = images.get(self._cloud, found.image.id) if found.image else None
        if found.image:
            return self._used(found.image)
        config = self.config["image"]
        checksum = download.Checksum.parse(config["checksum"])
        with download.lock(checksum, self._patience) as folder:
            # Whoever held the lock before us may have uploaded it.
            there = images.find(self._cloud, checksum)
            if there:
                return self._used(there)
            with self.deployment.step(f"fetch and verify {config['url']}"):
                path = download.fetch(config["url"], folder, checksum, self._patience)

            def make(row: Resource) -> Mapping[str, Any]:
                images.upload(self._cloud, row.facts["image_id"], config, path,
                              self.deployment.uuid)
                return {"id": row.facts["image_id"]}

            with self.deployment.step(f"upload the image {config['name']}"):
                made = self.create(IMAGE, "image", make, facts={"image_id": str(uuids.uuid4())})
            if path.parent == folder:
                path.unlink()
        return str(made.facts["id"])

    def _used(self, image: Image) -> str:
        """The image's id; one that a deployment has uploaded is kept for us from now on."""
        from rally_deploy.serverprovider.openstack import images

        if not image.ours or image.owner not in ("", self._cloud.project_id):
            return image.id

        def make(row: Resource) -> Mapping[str, Any]:
            images.use(self._cloud, image.id, self.deployment.uuid)
            return {"id": image.id}

        row = self._rows(IMAGE).get("image")
        if row and row.facts["image_id"] != image.id:
            self.deployment.ledger.release(row, self.delete)
        self.create(IMAGE, "image", make, facts={"image_id": image.id}, adopt=True)
        return image.id

    def _key_pair(self) -> str:
        from rally_deploy.serverprovider.openstack.servers import make_key_pair

        public = self._login.public
        made = self.create(KEY, "key", facts={"public_key": public}, make=lambda row: {
            "id": make_key_pair(self._cloud, row, public, self.settle_s)})
        return made.name

    def _group(self, found: Found) -> str:
        from rally_deploy.serverprovider.openstack import network

        if found.group:
            return found.group
        slug = _slug(self.config.get("secgroup_name") or "") or "ssh"
        ports = [str(port) for port in self.config["open_ports"]]
        made = self.create(GROUP, slug, lambda row: {"id": network.make_group(
            self._cloud, row, self.deployment.uuid, ports, self.settle_s)})
        return str(made.facts["id"])

    def _floating_ip(self, found: Found, spot: Spot) -> Resource:
        from rally_deploy.serverprovider.openstack import network

        return self.create(ADDRESS, spot.key, lambda row: network.make_floating_ip(
            self._cloud, row, self.deployment.uuid, found.floating_network, self.settle_s))

    def _volume(self, image: str, spot: Spot) -> Resource:
        from rally_deploy.serverprovider.openstack import servers

        asked = {"size": self.config["volume_size_gb"], "imageRef": image}
        zone = self.config.get("availability_zone")
        if zone:
            asked["availability_zone"] = zone.partition(":")[0]
        return self.create(VOLUME, spot.key, lambda row: {"id": servers.make_volume(
            self._cloud, row, self.deployment.uuid, asked, self.settle_s)})

    def _server(self, found: Found, image: str, key: str, group: str, spot: Spot) -> Resource:
        from rally_deploy.serverprovider.openstack import servers

        config, uuid = self.config, self.deployment.uuid
        asked: dict[str, Any] = {
            "flavor": found.flavor.id, "image": image, "key_name": key,
            "nics": [{"net-id": one} for one in found.networks], "security_groups": [group],
            "config_drive": config["config_drive"],
            "userdata": config["image"].get("userdata"),
            "availability_zone": config.get("availability_zone"),
        }
        if config.get("volume_size_gb"):
            volume = self._rows(VOLUME)[spot.key].facts["id"]
            # Not deleted with the server: the ledger has it, so that it is seen to go.
            asked |= {"image": None, "block_device_mapping_v2": [{
                "boot_index": 0, "uuid": volume, "source_type": "volume",
                "destination_type": "volume", "delete_on_termination": False}]}

        def make(row: Resource) -> Mapping[str, Any]:
            made = self._cloud.once(
                lambda: servers.post_server(
                    self._cloud, row.name, uuid, self.deployment.name, asked),
                lambda: next(iter(servers.mine(
                    self._roster.look(time.monotonic()), row, uuid)), None),
                self.settle_s,
            )
            return {"id": made.id}

        return self.create(SERVER, spot.key, make)

    def _together(self, *parts: Part) -> list[str]:
        """Make the parts at the same time; if one of them fails, its own error tells it best."""
        try:
            return self.deployment.each(lambda part: part.make(), parts)
        except EachFailed as error:
            if len(error.failures) == 1:
                raise next(iter(error.failures.values()))[1] from error
            raise

    # Servers that are there

    def _addressed(self, rows: Sequence[Resource], active: Sequence[Any]) -> list[Server]:
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
                        self._cloud, floating[pair[0].key], ports[pair[1].id], there),
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

    def _ready(self, server: Server) -> None:
        from rally_deploy.serverprovider.openstack.servers import console_of

        readiness.wait_for_login(
            self.deployment, server, self._patience,
            lambda: console_of(self._cloud, server.facts["instance_id"]),
        )
        if self.config["wait_for_cloud_init"]:
            readiness.wait_for_cloud_init(self.deployment, server, self._patience)

    # The end

    def destroy_servers(self) -> None:
        self._patience.begin(self.config["timeout_s"])
        super().destroy_servers()

    def delete(self, resource: Resource) -> None:
        from rally_deploy.serverprovider.openstack import removal

        # What has its id was seen; all else may come up yet from a request that is on its way.
        settle_s = 0.0 if "id" in resource.facts else self.settle_s
        removal.remove(self._cloud, self._roster, resource, self.deployment.uuid, settle_s)

    def tagged(self) -> list[Tagged]:
        """All that carries the tag of a deployment on this cloud, for ``rdeploy sweep``."""
        from rally_deploy.serverprovider.openstack.tagged import list_tagged

        self._patience.begin(self.config["timeout_s"])
        return list_tagged(self._cloud)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]
