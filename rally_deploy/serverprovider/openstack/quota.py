"""Whether what is still to be made is within the quotas of Nova, Neutron and Cinder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal


def of_nova(cloud: Cloud) -> dict[str, int]:
    """Nova's limits and what is used of them, as it names them; -1 is no limit."""
    return {limit.name: limit.value for limit in cloud.nova.limits.get().absolute}


def of_neutron(cloud: Cloud) -> Mapping[str, Any]:
    """Neutron's quota of each thing: limit, used, reserved; empty where it does not tell."""
    try:
        found = cloud.network.get_quota(cloud.project_id, details=True)
    except CloudRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
        return {}  # an older Neutron, or one that tells it to administrators only
    return dict(found.to_dict(ignore_none=True))


def over_nova(limits: Mapping[str, int], servers: int, flavor: Any) -> list[str]:
    """What is over Nova's limits, as sentences; ``flavor`` None: it is not known."""
    needs = {"servers": ("maxTotalInstances", "totalInstancesUsed", servers)}
    if flavor is not None:
        needs["cores"] = ("maxTotalCores", "totalCoresUsed", servers * flavor.vcpus)
        needs["MiB of memory"] = ("maxTotalRAMSize", "totalRAMUsed", servers * flavor.ram)
    return [
        text for what, (most, used, needed) in needs.items()
        for text in over(what, needed, limits.get(used, 0), limits.get(most, -1))
    ]


def over_neutron(quota: Mapping[str, Any], needs: Mapping[str, int]) -> list[str]:
    """The same of Neutron's; ``needs``: the SDK's name of things -> how many are to be made."""
    return [
        text for name, needed in needs.items() if name in quota
        for text in over(_WORDS[name], needed, quota[name]["used"] + quota[name]["reserved"],
                         quota[name]["limit"])
    ]


_WORDS = {
    "ports": "ports", "floating_ips": "floating addresses", "security_groups": "security groups",
    "security_group_rules": "security group rules",
}


def over_cinder(cloud: Cloud, volumes: int, size_gb: int) -> list[str]:
    """The same of Cinder's, which is asked here."""
    limits = cloud.volumes.get("/limits")["limits"]["absolute"]
    return over("volumes", volumes, limits["totalVolumesUsed"], limits["maxTotalVolumes"]) + over(
        "GiB of volumes", volumes * size_gb, limits["totalGigabytesUsed"],
        limits["maxTotalVolumeGigabytes"])


def over(what: str, needed: int, used: int, most: int) -> list[str]:
    """A sentence if so many more are too many; none if none is needed, or there is no limit."""
    if needed and 0 <= most < used + needed:
        return [f"{needed} {what} are over the quota: {used} of {most} are in use"]
    return []
