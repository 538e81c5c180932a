"""What servers are made from: image, size, networks, groups and place, as the block asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rally_deploy.serverprovider.libcloud.cloud import Cloud, CloudFailed
from rally_deploy.serverprovider.libcloud.schema import patterns

_MOST = 20


@dataclass(frozen=True)
class Choice:
    """Things of libcloud that every server of a block is made from."""

    image: Any
    size: Any
    networks: Sequence[Any] = ()
    groups: Sequence[Any] = ()
    location: Any = None


def choose(cloud: Cloud, config: Mapping[str, Any], image: Any, size: Any) -> Choice:
    """All that is wanted is looked for before anything is made."""
    return Choice(
        find_image(cloud, config, image), find_size(cloud, config, size),
        find_networks(cloud, config), find_groups(cloud, config), find_location(cloud, config),
    )


def find_image(cloud: Cloud, config: Mapping[str, Any], wanted: Any) -> Any:
    """The image of this id, else of this name, else the newest with the text in its name."""
    if cloud.can("get_image"):
        try:
            return cloud.ask("get the image", lambda driver: driver.get_image(str(wanted)))
        except CloudFailed:
            pass  # not an id, so probably a name
    # EC2 has hundreds of thousands, so it is asked for those of the name.
    only = {"ex_filters": {"name": f"*{wanted}*"}} if cloud.takes(
        "list_images", "ex_filters") else {}
    images = cloud.ask("list images", lambda driver: driver.list_images(**only))
    exact = _exact(images, wanted, "images")
    if exact is not None:
        return exact
    text = str(wanted).lower()
    known = [i for i in images if not _matches(i.name, config["exclude_image"])]
    found = [i for i in known if contains_spec(i.name, text)]
    if not found:
        raise CloudFailed(
            f"the cloud has no image '{wanted}'", f"it has: {_names(known)}",
            "write one of these names, or an id, as 'image'",
        )
    return max(found, key=_made_at)


def contains_spec(name: str, spec: str) -> bool:
    """Whether an image's name tells the ``<os>-<version>``, with a dash or a space between."""
    text = str(name or "").lower()
    return spec in text or spec.replace("-", " ") in text


def find_size(cloud: Cloud, config: Mapping[str, Any], wanted: Any) -> Any:
    """The size of this id or name, or the smallest that has what is needed."""
    sizes = cloud.ask("list sizes", lambda driver: driver.list_sizes())
    if not isinstance(wanted, Mapping):
        found = _exact(sizes, wanted, "sizes")
        if found is None:
            raise CloudFailed(
                f"the cloud has no size '{wanted}'", f"it has: {_names(sizes)}",
                "write one of these names, or an id, as 'size'",
            )
        return found
    fitting = [
        size for size in sizes
        if _matches(size.name, config["allow_sizes"])
        and not _matches(size.name, config["exclude_sizes"])
        and all(has >= wanted.get(key, 0) for key, has in _measures(size).items())
    ]
    if not fitting:
        needs = ", ".join(f"{key} {value}" for key, value in wanted.items()) or "any"
        raise CloudFailed(
            f"no size of the cloud fits ({needs})", f"it has: {_names(sizes)}",
            "ask for less in 'size', or look at 'allow_sizes' and 'exclude_sizes'",
        )
    return min(fitting, key=lambda size: (*_measures(size).values(), str(size.name)))


def find_networks(cloud: Cloud, config: Mapping[str, Any]) -> list[Any]:
    wanted = config["allow_networks"]
    if not wanted:
        return []
    _require(cloud, "networks", "allow_networks")
    networks = cloud.ask("list networks", lambda driver: driver.ex_list_networks())
    found = [network for network in networks if _matches(network.name, wanted)]
    if not found:
        raise CloudFailed(
            "no network of the cloud is allowed", f"it has: {_names(networks)}",
            "look at 'allow_networks'",
        )
    return found


def find_groups(cloud: Cloud, config: Mapping[str, Any]) -> list[Any]:
    wanted = config["security_groups"]
    if not wanted:
        return []
    _require(cloud, "ex_security_groups", "security_groups")
    groups = cloud.ask(
        "list security groups", lambda driver: driver.ex_list_security_groups())
    return [_one_group(groups, name) for name in wanted]


def find_location(cloud: Cloud, config: Mapping[str, Any]) -> Any:
    wanted = config.get("location")
    if not wanted:
        return None
    _require(cloud, "location", "location")
    places = cloud.ask("list locations", lambda driver: driver.list_locations())
    zones = [place for place in places if wanted == _zone(place)]
    found = zones[0] if zones else _exact(places, wanted, "locations")
    if found is None:
        known = ", ".join(sorted(_zone(place) or str(place.name) for place in places))
        raise CloudFailed(
            f"the cloud has no location '{wanted}'", f"it has: {known}", "look at 'location'")
    return found


def _zone(place: Any) -> str:
    """EC2 calls its regions' zones alike; the zone's own name stands beside."""
    return str(getattr(getattr(place, "availability_zone", None), "name", "") or "")


def _require(cloud: Cloud, argument: str, key: str) -> None:
    if not cloud.takes("create_node", argument):
        raise CloudFailed(
            f"this driver cannot choose {key.replace('_', ' ')}", remedy=f"leave out '{key}'")


def _one_group(groups: Iterable[Any], name: str) -> Any:
    found = [group for group in groups if getattr(group, "name", group) == name]
    # An administrator sees the groups of all projects; the name goes to Nova, which takes ours.
    owners = [getattr(group, "tenant_id", None) for group in found]
    if not found or len(set(owners)) < len(owners):
        known = ", ".join(sorted(str(getattr(group, "name", group)) for group in groups))
        many = "has more than one" if found else "has no"
        raise CloudFailed(
            f"the cloud {many} security group '{name}'", f"it has: {known}",
            "look at 'security_groups'",
        )
    return found[0]


def _measures(size: Any) -> dict[str, float]:
    """What a size has; what libcloud does not tell counts as nothing."""
    extra = size.extra or {}
    cpus = getattr(size, "vcpus", None) or next(
        (extra[key] for key in ("vcpus", "vcpu", "cpus", "cpu") if extra.get(key)), 0)
    return {"ram": _number(size.ram), "disk": _number(size.disk), "cpus": _number(cpus)}


def _made_at(image: Any) -> str:
    extra = image.extra or {}
    return str(extra.get("creation_date") or extra.get("created") or "")


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _exact(things: Sequence[Any], wanted: Any, what: str) -> Any:
    """The thing of this id or name; None if there is none."""
    text = str(wanted)
    for attribute in ("id", "name"):
        found = [thing for thing in things if str(getattr(thing, attribute)) == text]
        if len(found) > 1:
            ids = ", ".join(str(thing.id) for thing in found)
            raise CloudFailed(
                f"the cloud has {len(found)} {what} called '{text}'", f"their ids: {ids}",
                "write the id in place of the name",
            )
        if found:
            return found[0]
    return None


def _matches(name: Any, wanted: str | list[str]) -> bool:
    return any(re.match(pattern, str(name or "")) for pattern in patterns(wanted))


def _names(things: Sequence[Any]) -> str:
    names = sorted(str(thing.name) for thing in things)
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return (", ".join(names[:_MOST]) or "none") + more
