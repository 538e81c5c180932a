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
    """The same of Cinder's, which is asked here; it has some for each type of volumes, too."""
    if not volumes:
        return []
    quota = _of_cinder(cloud)
    largest = quota.get("per_volume_gigabytes", {}).get("limit", -1)
    found = []
    if 0 <= largest < size_gb:
        found.append(f"a volume of {size_gb} GiB is over the quota: one may have {largest}")
    kind = _default_type(cloud)
    for suffix, of_type in ("", ""), (f"_{kind}", f" of type {kind}"):
        for name, what, needed in (
            ("volumes", "volumes", volumes), ("gigabytes", "GiB of volumes", volumes * size_gb),
        ):
            one = quota.get(name + suffix)
            if one:
                found += over(what + of_type, needed, one["in_use"] + one["reserved"],
                              one["limit"])
    return found


def _of_cinder(cloud: Cloud) -> Mapping[str, Any]:
    """Cinder's quota of each thing: limit, in_use, reserved; empty where it does not tell."""
    try:
        found: Mapping[str, Any] = cloud.volumes.get(
            f"/os-quota-sets/{cloud.project_id}?usage=True")["quota_set"]
    except CloudRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
        return {}
    return {name: one for name, one in found.items() if isinstance(one, Mapping)}


def _default_type(cloud: Cloud) -> str:
    """The type of volumes for which none is asked; empty if the cloud has none."""
    try:
        return str(cloud.volumes.get("/types/default")["volume_type"]["name"])
    except CloudRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
        return ""


def over(what: str, needed: int, used: int, most: int) -> list[str]:
    """A sentence if so many more are too many; none if none is needed, or there is no limit."""
    if needed and 0 <= most < used + needed:
        return [f"{needed} {what} are over the quota: {used} of {most} are in use"]
    return []
