"""What a deployment has on a cloud, each thing made under its row of the ledger, and removed."""

from __future__ import annotations

import re
import time
import uuid as uuids
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import EachFailed, LeftOver
from rally_deploy.model import Resource, ResourceState
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.openstack.keys import LoginKey, login_key
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, Patience

if TYPE_CHECKING:
    from rally_deploy.serverprovider.openstack.cloud import Cloud
    from rally_deploy.serverprovider.openstack.images import Image
    from rally_deploy.serverprovider.openstack.preflight import Found
    from rally_deploy.serverprovider.openstack.servers import Roster

IMAGE, KEY, GROUP, ADDRESS, VOLUME, SERVER = (
    f"openstack_{kind}" for kind in
    ("image", "key_pair", "security_group", "floating_ip", "volume", "server")
)

#: What was recorded so long ago and never seen does not come up any more.
_ON_ITS_WAY = timedelta(hours=1)

#: A removal has to wait for what may still come up, however short a create was to be.
_LEAST_REMOVAL_S = 300.0


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


class CloudParts(ServerProvider):
    """Makes and removes the things of one deployment on one cloud."""

    #: How long a request whose answer was lost may still be on its way to take effect. What was
    #: recorded but never seen is looked for that long before it counts as not there.
    settle_s = 10.0
    _settled_at = float("inf")

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

        return Cloud(self.config, self._patience, self.deployment.mask.add)

    @cached_property
    def _roster(self) -> Roster:
        from rally_deploy.serverprovider.openstack.servers import Roster, list_servers

        return Roster(partial(list_servers, self._cloud, self.deployment.ledger.name("")))

    @cached_property
    def _login(self) -> LoginKey:
        return login_key(self.config, self.deployment.secret)

    def _rows(self, kind: str) -> dict[str, Resource]:
        return {row.key: row for row in self.deployment.ledger.alive(kind)}

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
        with download.lock(checksum, self._patience, self.deployment.name) as folder:
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
        key = slug(self.config.get("secgroup_name") or "") or "ssh"
        ports = [str(port) for port in self.config["open_ports"]]
        made = self.create(GROUP, key, lambda row: {"id": network.make_group(
            self._cloud, row, self.deployment.uuid, ports, self.settle_s)})
        return str(made.facts["id"])

    def _floating_ip(self, found: Found, spot: Spot) -> Resource:
        from rally_deploy.serverprovider.openstack import network

        return self.create(ADDRESS, spot.key, lambda row: network.make_floating_ip(
            self._cloud, row, self.deployment.uuid, found.floating_network, self.settle_s))

    def _volume(self, found: Found, image: str, spot: Spot) -> Resource:
        from rally_deploy.serverprovider.openstack import servers

        asked = {"size": self.config["volume_size_gb"], "imageRef": image}
        if found.volume_zone:
            asked["availability_zone"] = found.volume_zone
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

        def post(row: Resource) -> Any:
            return servers.post_server(self._cloud, row.name, uuid, self.deployment.name, asked)

        return self.create(SERVER, spot.key, lambda row: {"id": servers.make_server(
            self._cloud, self._roster, row, uuid, partial(post, row), self.settle_s)})

    def _together(self, *parts: Part) -> list[str]:
        """Make the parts at the same time; if one of them fails, its own error tells it best."""
        try:
            return self.deployment.each(lambda part: part.make(), parts)
        except EachFailed as error:
            if len(error.failures) == 1:
                raise next(iter(error.failures.values()))[1] from error
            raise

    def _begin(self, timeout_s: float) -> None:
        """The time of a create or a destroy starts; what a killed one has sent comes up soon."""
        self._patience.begin(timeout_s)
        self._settled_at = time.monotonic() + self.settle_s

    def destroy_servers(self) -> None:
        """Remove all that this provider made for this deployment."""
        self._begin(max(self.config["timeout_s"], _LEAST_REMOVAL_S))
        left = self.deployment.ledger.alive()
        if left:
            try:
                self._cloud.log_in()
            except CloudRefusal as refusal:
                # Each removal would find the same, one after the other.
                raise LeftOver(
                    f"{len(left)} resource(s) on the cloud could not be removed", str(refusal),
                    "once the cloud lets us in, run 'rdeploy destroy' again",
                ) from refusal
        super().destroy_servers()

    def delete(self, resource: Resource) -> None:
        from rally_deploy.serverprovider.openstack import removal

        settles_in_s = self._settles_in_s(resource)
        removal.remove(
            self._cloud, self._roster, resource, self.deployment.uuid, settles_in_s)
        if settles_in_s and not self._patience.left_s:
            raise CloudRefusal(
                f"{resource.name} may still come up, and time is over",
                remedy="run 'rdeploy destroy' again",
            )

    def _settles_in_s(self, resource: Resource) -> float:
        """How long it may still come up, from a request that is on its way."""
        age = datetime.now(timezone.utc) - resource.created_at
        if "id" in resource.facts or age > _ON_ITS_WAY:
            return 0.0
        # Never nothing: a slow cloud is given longer.
        return min(self.settle_s, max(0.1, self._settled_at - time.monotonic()))


def slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]
