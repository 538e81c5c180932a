"""What EC2 (and what speaks like it) wants otherwise than libcloud's base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_ec2(driver: type) -> bool:
    from libcloud.compute.drivers.ec2 import BaseEC2NodeDriver

    return issubclass(driver, BaseEC2NodeDriver)


def create_volume(driver: Any, size: int, tags: Mapping[str, str], location: Any = None) -> Any:
    """A volume whose tags come with the call that makes it.

    libcloud tags it by a second call: killed between the two, it would be nobody's.
    """
    place = location or driver.list_locations()[0]
    params = {
        "Action": "CreateVolume", "Size": str(size), "VolumeType": "gp2",
        "AvailabilityZone": place.availability_zone.name,
        "TagSpecification.1.ResourceType": "volume",
    }
    for number, (key, value) in enumerate(tags.items(), 1):
        params[f"TagSpecification.1.Tag.{number}.Key"] = key
        params[f"TagSpecification.1.Tag.{number}.Value"] = value
    made = driver.connection.request(driver.path, params=params).object
    return driver._to_volume(made, name=tags["Name"])


def first_location(driver: Any) -> Any:
    """A volume and its server have to be in one zone, so there is one for both."""
    return driver.list_locations()[0]


def device(number: int) -> str:
    """The name under which a server sees its n-th volume."""
    return f"/dev/sd{chr(ord('f') + number)}"
