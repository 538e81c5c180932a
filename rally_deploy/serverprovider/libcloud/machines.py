"""Servers, volumes and key pairs of one deployment in one cloud: made, found again, deleted.

What is ours carries the resource's name, and our uuid where the driver takes metadata in the call
that makes it. Elsewhere the name is the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import PluginBroken, ResourceConflict, WaitTimeout
from rally_deploy.model import Resource
from rally_deploy.serverprovider.libcloud import ec2
from rally_deploy.serverprovider.libcloud.choice import Choice
from rally_deploy.serverprovider.libcloud.cloud import MARK, Cloud, CloudFailed

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_GONE_TIMEOUT_S = 300.0
_DETACH_TIMEOUT_S = 120.0
_POLL_S = 2.0

NODE, VOLUME, KEY_PAIR = "libcloud_node", "libcloud_volume", "libcloud_key_pair"

#: kind of a resource -> the driver's call that lists such things
LISTS = {NODE: "list_nodes", VOLUME: "list_volumes", KEY_PAIR: "list_key_pairs"}


class Machines:
    """The things of one deployment."""

    def __init__(self, deployment: Deployment, cloud: Cloud) -> None:
        self._deployment, self._cloud = deployment, cloud

    # Looking

    def refuse_foreign(self, kind: str, names: set[str]) -> None:
        """Raise ResourceConflict if things of these names are there before we made any."""
        for thing in self._cloud.listed(LISTS[kind]):
            if thing.name in names and not is_gone(thing):
                raise _conflict(kind, thing)

    def find(self, row: Resource) -> Any:
        """The thing of a row; None if it is not there."""
        return next(iter(self._matches(row)), None)

    def is_broken(self, row: Resource, settle_s: float) -> bool:
        """Whether the thing of a live row is not there any more, or will never work."""
        thing = self._cloud.settled(lambda: self.find(row), settle_s)
        return thing is None or state_of(thing) == "error"

    def in_full(self, node: Any) -> Any:
        """The node with its fault, which a listing of Nova lacks; as it is if it is not told."""
        if "fault" not in (node.extra or {}) or not self._cloud.can("ex_get_node_details"):
            return node
        try:
            return self._cloud.ask(
                "show the server", lambda driver: driver.ex_get_node_details(node.id)) or node
        except (CloudFailed, WaitTimeout):
            return node

    def _matches(self, row: Resource) -> list[Any]:
        """All things of a row, first the one that we were told the id of.

        There may be more than one if an answer was lost. Of marked kinds a name says nothing.
        """
        known, marked = row.facts.get("id"), self._is_marked(row.kind)

        def ours(thing: Any) -> bool:
            return _id(thing) == known or thing.name == row.name and (
                not marked or mark_of(thing) == self._deployment.uuid)

        found = [t for t in self._cloud.listed(LISTS[row.kind]) if not is_gone(t) and ours(t)]
        return sorted(found, key=lambda thing: _id(thing) != known)

    def _again(self, row: Resource, thing: Any) -> Any:
        """This very thing as it is now; None if it is gone."""
        return next((t for t in self._matches(row) if _id(t) == _id(thing)), None)

    def _is_marked(self, kind: str) -> bool:
        if kind == NODE:
            return self._cloud.takes("create_node", "ex_metadata")
        return kind == VOLUME and ec2.is_ec2(self._cloud.driver_class)

    # Making

    def make_key_pair(self, row: Resource, public_key: str) -> None:
        self._cloud.make(
            "import the key pair", lambda: self.find(row),
            lambda driver: driver.import_key_pair_from_string(row.name, public_key))

    def make_volume(self, row: Resource, size: int, choice: Choice) -> Mapping[str, Any]:
        def make(driver: Any) -> Any:
            if ec2.is_ec2(type(driver)):
                marks = {"Name": row.name, MARK: self._deployment.uuid}
                return ec2.create_volume(driver, size, marks, choice.location)
            place = {"location": choice.location} if choice.location else {}
            return driver.create_volume(size, row.name, **place)

        made = self._cloud.make("create a volume", lambda: self.find(row), make)
        return {"id": str(made.id)}

    def make_node(
        self, row: Resource, choice: Choice, key_name: str, userdata: str
    ) -> Mapping[str, Any]:
        options = {
            "ex_keyname": key_name, "ex_userdata": userdata, "networks": choice.networks,
            "ex_security_groups": choice.groups, "location": choice.location,
            "ex_metadata": {MARK: self._deployment.uuid},
            # EC2 makes no second server for the same token.
            "ex_clienttoken": f"{self._deployment.uuid[:36]}-{row.id}",
        }
        asked = {
            key: value for key, value in options.items()
            if value and self._cloud.takes("create_node", key)
        }
        made = self._cloud.make(
            "create a server", lambda: self.find(row),
            lambda driver: driver.create_node(
                name=row.name, size=choice.size, image=choice.image, **asked),
        )
        if made.name != row.name:
            self._cloud.ask("destroy the server", lambda driver: driver.destroy_node(made))
            raise PluginBroken(
                f"this driver called the server {made.name}, not {row.name}",
                "what has another name than we chose is not found again after a crash",
                "use another driver",
            )
        return {"id": str(made.id)}

    def attach(self, volume: Resource, node: Any, number: int) -> None:
        """Attach a volume of ours to its server, unless it is attached."""
        from libcloud.compute.types import StorageVolumeState as Is

        def free() -> Any:
            found = self.find(volume)
            if found is None:
                raise CloudFailed(f"the volume {volume.name} is gone")
            return found if found.state in (Is.AVAILABLE, Is.INUSE, Is.UNKNOWN, None) else None

        found = self._deployment.wait(
            free, _GONE_TIMEOUT_S, f"volume {volume.name} is ready", interval_s=_POLL_S)
        if found.state == Is.INUSE:
            return
        device = {"device": ec2.device(number)} if ec2.is_ec2(self._cloud.driver_class) else {}

        def is_attached() -> Any:
            again = self.find(volume)
            return again if again is not None and again.state == Is.INUSE else None

        self._cloud.make(
            "attach a volume", is_attached,
            lambda driver: driver.attach_volume(node, found, **device))

    # Deleting

    def delete(self, row: Resource, settle_s: float) -> None:
        """Delete all things of a row; return once none is listed any more.

        :param settle_s: how long one that is not listed may still come up.
        """
        left = self._cloud.settled(lambda: self._matches(row), settle_s)
        asked: set[str] = set()

        def gone() -> bool:
            for thing in left:
                if _id(thing) not in asked:
                    self._delete_one(row, thing)
                    asked.add(_id(thing))
            left[:] = self._matches(row)
            return not left

        if left:
            self._deployment.wait(
                gone, _GONE_TIMEOUT_S, f"{row.name} is gone", interval_s=_POLL_S)

    def _delete_one(self, row: Resource, thing: Any) -> None:
        what, call = _DELETES[row.kind]
        if row.kind == VOLUME:
            thing = self._detached(row, thing)
            if thing is None:
                return
        try:
            self._cloud.make(
                what, lambda: True if self._again(row, thing) is None else None,
                lambda driver: getattr(driver, call)(thing), settle_s=0.0)
        except CloudFailed:
            # Gone meanwhile is as good as deleted.
            if self._again(row, thing) is not None:
                raise

    def _detached(self, row: Resource, volume: Any) -> Any:
        """The volume once it is free: its server, which went first, sets it free by its end."""
        from libcloud.compute.types import StorageVolumeState as Is

        def free() -> Any:
            found = self._again(row, volume)
            return (found,) if found is None or found.state != Is.INUSE else None

        def wait() -> Any:
            return self._deployment.wait(
                free, _DETACH_TIMEOUT_S, f"volume {row.name} is free", interval_s=_POLL_S)[0]

        try:
            return wait()
        except WaitTimeout:
            self._cloud.ask("detach the volume", lambda driver: driver.detach_volume(volume))
            return wait()


_DELETES = {
    NODE: ("destroy the server", "destroy_node"),
    VOLUME: ("delete the volume", "destroy_volume"),
    KEY_PAIR: ("delete the key pair", "delete_key_pair"),
}


def mark_of(thing: Any) -> str:
    """Our mark on a thing of any driver: in its metadata or its tags; empty without one."""
    extra = getattr(thing, "extra", None) or {}
    for key in ("metadata", "tags"):
        marks = extra.get(key)
        if isinstance(marks, Mapping) and MARK in marks:
            return str(marks[MARK])
        # Google's way: {"items": [{"key", "value"}]}
        items = marks.get("items") if isinstance(marks, Mapping) else None
        for item in items or ():
            if item.get("key") == MARK:
                return str(item.get("value"))
    return ""


def state_of(thing: Any) -> str:
    """libcloud's word for it, in lower case: "running", "error" ...; empty if there is none."""
    return str(getattr(thing, "state", "") or "").lower()


def _id(thing: Any) -> str:
    """A key pair has no other id than its name."""
    return str(getattr(thing, "id", thing.name))


def is_gone(thing: Any) -> bool:
    """A deleted thing may stay in a listing for a while."""
    return state_of(thing) in ("terminated", "deleted", "deleting")


def _conflict(kind: str, thing: Any) -> ResourceConflict:
    what = kind.removeprefix("libcloud_").replace("_", " ").replace("node", "server")
    return ResourceConflict(
        f"the cloud has a {what} {thing.name} that is not ours",
        remedy="look whose it is, and remove it there",
    )
