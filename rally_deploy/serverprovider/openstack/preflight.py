"""A look at the cloud before anything is made; all that is in the way is told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rally_deploy.errors import EachFailed
from rally_deploy.serverprovider.openstack import images, network, quota
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.download import Checksum, local_path
from rally_deploy.serverprovider.openstack.images import Image
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, CloudUnfit

Each = Callable[[Callable[[Callable[[], Any]], Any], Sequence[Callable[[], Any]]], list[Any]]


@dataclass(frozen=True)
class Wanted:
    """What a block asks for, and what of it is still to be made."""

    config: Mapping[str, Any]
    flavor: str
    image_uuid: str
    new_servers: int
    new_addresses: int = 0
    new_volumes: int = 0
    new_group: bool = True
    new_key: bool = True

    @property
    def checksum(self) -> Checksum | None:
        text = self.config["image"].get("checksum")
        return None if self.image_uuid or not text else Checksum.parse(text)


@dataclass
class Found:
    """What there is on the cloud of what is asked for. ``image`` None: to be uploaded."""

    flavor: Any = None
    image: Image | None = None
    networks: list[str] = field(default_factory=list)
    floating_network: str = ""
    group: str = ""  # of 'secgroup_name'; empty: to be made
    volume_zone: str = ""  # empty: Cinder chooses
    limits: Mapping[str, int] = field(default_factory=dict)  # of Nova
    network_quota: Mapping[str, Any] = field(default_factory=dict)
    hindrances: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def lacks(self, text: str) -> None:
        self.hindrances.append(text)


def look(cloud: Cloud, wanted: Wanted, each: Each) -> Found:
    """Raises CloudUnfit with every hindrance."""
    found = Found()
    looks = [_flavor, _image, _networks, _group, _zone, _limits, _network_quota, _volumes]
    try:
        each(lambda one: one(), [partial(one, cloud, wanted, found) for one in looks])
    except EachFailed as error:
        # They failed for one reason: the service does not answer.
        raise next(iter(error.failures.values()))[1] from error
    _fits(wanted, found)
    if found.hindrances:
        raise CloudUnfit(
            "the cloud cannot make what is asked for", "\n".join(sorted(found.hindrances)),
            "nothing was made; mend what is named, then 'rdeploy resume'",
        )
    return found


def _flavor(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    every = _flavors(cloud)
    found.flavor = next((f for f in every if f.id == wanted.flavor), None) or next(
        (f for f in every if f.name == wanted.flavor), None)
    if found.flavor is None:
        found.lacks(f"there is no flavor '{wanted.flavor}'; there are {_names(every)}")


def _flavors(cloud: Cloud) -> list[Any]:
    """All that this user may have: an administrator's too that are not public."""
    try:
        return list(cloud.nova.flavors.list(is_public=None))
    except CloudRefusal as refusal:
        if refusal.status not in (400, 403):
            raise
        return list(cloud.nova.flavors.list())


def _names(things: Sequence[Any]) -> str:
    names = sorted(thing.name for thing in things)
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") if names else "none"


def _image(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    if not cloud.endpoint("image"):
        if not wanted.image_uuid:
            found.lacks("the cloud has no image service: give the image's uuid")
        return
    if wanted.image_uuid:
        found.image = images.get(cloud, wanted.image_uuid)
        if found.image is None:
            found.lacks(f"there is no image {wanted.image_uuid}")
    elif wanted.checksum:
        found.image = images.find(cloud, wanted.checksum)
        url = wanted.config["image"].get("url", "")
        if found.image is None and not url:
            found.lacks(f"no image has the checksum {wanted.checksum}, and 'url' is not given")
        elif found.image is None:
            path = local_path(url)
            if path and not path.is_file():
                found.lacks(f"there is no image file {path}")
    if found.image and found.image.status != "active":
        found.lacks(f"image {found.image.name} is {found.image.status}, not active")


def _networks(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    every = list(cloud.network.networks())
    nics = wanted.config["nics"]
    for nic in nics:
        there = network.named(every, nic["net-id"])
        if len(there) != 1:
            found.lacks(
                f"there is no network '{nic['net-id']}'; there are {_names(every)}" if not there
                else f"there are {len(there)} networks '{nic['net-id']}': give the id of one")
        elif not there[0].subnet_ids:
            found.lacks(f"network '{nic['net-id']}' has no subnet")
        else:
            found.networks.append(there[0].id)
    if not nics:
        there = network.usable(every, cloud.project_id)
        if len(there) != 1:
            found.lacks(
                f"there are {len(there)} networks to choose from ({_names(there)}): "
                "name one in 'nics'" if there else "there is no network for the servers")
        found.networks += [n.id for n in there[:1]]
    outer = wanted.config.get("floating_network")
    if outer:
        external = [n for n in every if n.is_router_external]
        there = network.named(external, outer)
        if not there:
            found.lacks(f"there is no external network '{outer}'; there are {_names(external)}")
        else:
            found.floating_network = there[0].id


def _group(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    name = wanted.config.get("secgroup_name")
    if not name:
        return
    there = [
        group for group in cloud.network.security_groups(name=name)
        if group.project_id in (None, cloud.project_id)
    ]
    if len(there) > 1:
        found.lacks(f"there are {len(there)} security groups '{name}'")
    elif there:
        found.group = there[0].id
        if not network.lets_ssh_in(there[0]):
            found.warnings.append(
                f"security group '{name}' has no rule that lets SSH in from everywhere; "
                "it is used as it is")


def _zone(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    zone = wanted.config.get("availability_zone")
    if not zone:
        return
    every = cloud.nova.availability_zones.list(detailed=False)
    good = sorted({z.zoneName for z in every if z.zoneState.get("available")})
    # zone:host is for administrators; Nova knows whether that host is there.
    if zone.partition(":")[0] not in good:
        found.lacks(f"there is no availability zone '{zone}'; there are {', '.join(good)}")


def _limits(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    if wanted.new_servers or wanted.new_key:
        found.limits = quota.of_nova(cloud)
    most = found.limits.get("maxTotalKeypairs", -1)
    if wanted.new_key and most >= 0:
        # Nova tells no number of those in use. They are the user's, over all projects.
        used = len(cloud.nova.keypairs.list())
        found.hindrances += quota.over("key pairs", 1, used, most)


def _network_quota(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    found.network_quota = quota.of_neutron(cloud)


def _fits(wanted: Wanted, found: Found) -> None:
    """What needs more than one of the answers."""
    flavor, image, servers = found.flavor, found.image, wanted.new_servers
    new_group = wanted.new_group and not found.group
    found.hindrances += quota.over_nova(found.limits, servers, flavor)
    found.hindrances += quota.over_neutron(found.network_quota, {
        "ports": servers * max(1, len(wanted.config["nics"])),
        "floating_ips": wanted.new_addresses, "security_groups": int(new_group),
        "security_group_rules": network.rules_of_group(wanted.config["open_ports"])
        if new_group else 0,
    })
    disk = wanted.config.get("volume_size_gb") or (flavor.disk if flavor else 0)
    if image and flavor:
        if image.min_ram_mb > flavor.ram:
            found.lacks(f"image {image.name} needs {image.min_ram_mb} MiB of memory, "
                        f"flavor {flavor.name} has {flavor.ram}")
        if disk and image.min_disk_gb > disk:
            found.lacks(f"image {image.name} needs a disk of {image.min_disk_gb} GiB, "
                        f"there would be {disk}")


def _volumes(cloud: Cloud, wanted: Wanted, found: Found) -> None:
    size = wanted.config.get("volume_size_gb")
    if not size:
        return
    if not cloud.endpoint("block-storage"):
        found.lacks("'volume_size_gb' needs a volume service, and the cloud has none")
        return
    found.hindrances += quota.over_cinder(cloud, wanted.new_volumes, size)
    zone = (wanted.config.get("availability_zone") or "").partition(":")[0]
    if zone and wanted.new_volumes:
        every = cloud.volumes.list("availabilityZoneInfo", "/os-availability-zone")
        good = sorted(z["zoneName"] for z in every if z["zoneState"].get("available"))
        if zone in good:
            found.volume_zone = zone
        else:
            found.warnings.append(
                f"the volume service has no availability zone '{zone}', it has "
                f"{', '.join(good) or 'none'}: it chooses one for the boot volumes itself")
