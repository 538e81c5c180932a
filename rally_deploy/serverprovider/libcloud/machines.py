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
from rally_deploy.serverprovider.libcloud.cloud import MARK, Cloud, CloudBusy, CloudFailed

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_GONE_TIMEOUT_S = 300.0
_DETACH_TIMEOUT_S = 120.0
_POLL_S = 2.0

#: kind of a resource -> the driver's call that lists such things
_LISTS = {
    "libcloud_node": "list_nodes", "libcloud_volume": "list_volumes",
    "libcloud_key_pair": "list_key_pairs",
}


class Machines:
    """The things of one deployment."""

    def __init__(self, deployment: Deployment, cloud: Cloud) -> None:
        self._deployment, self._cloud = deployment, cloud

    # Looking

    def refuse_foreign(self, kind: str, names: set[str]) -> None:
        """Raise ResourceConflict if things of these names are there before we made any."""
        for thing in self._cloud.listed(_LISTS[kind]):
            if thing.name in names and not _is_gone(thing):
                raise _conflict(kind, thing)

    def find(self, row: Resource) -> Any:
        """The thing of a row; None if it is not there. Of marked kinds a name says nothing."""
        marked = self._is_marked(row.kind)
        return next((
            thing for thing in self._cloud.listed(_LISTS[row.kind])
            if thing.name == row.name and not _is_gone(thing)
            and (not marked or mark_of(thing) == self._deployment.uuid)
        ), None)

    def _is_marked(self, kind: str) -> bool:
        if kind == "libcloud_node":
            return self._cloud.takes("create_node", "ex_metadata")
        return kind == "libcloud_volume" and ec2.is_ec2(self._cloud.driver_class)

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

    def delete(self, row: Resource) -> None:
        """Delete the thing of a row; return once it is not listed any more."""
        thing = self.find(row)
        if thing is None:
            return
        if row.kind == "libcloud_volume":
            thing = self._detached(row, thing)
        what, call = _DELETES[row.kind]
        if thing is not None:
            self._delete_once(row, what, lambda driver: getattr(driver, call)(thing))
        self._deployment.wait(
            lambda: self.find(row) is None, _GONE_TIMEOUT_S, f"{row.name} is gone",
            interval_s=_POLL_S, tolerate=(CloudBusy,))

    def _delete_once(self, row: Resource, what: str, work: Any) -> None:
        try:
            self._cloud.make(what, lambda: True if self.find(row) is None else None, work)
        except CloudFailed:
            # Gone meanwhile is as good as deleted.
            if self.find(row) is not None:
                raise

    def _detached(self, row: Resource, volume: Any) -> Any:
        """The volume once it is free: its server, which went first, sets it free by its end."""
        from libcloud.compute.types import StorageVolumeState as Is

        def free() -> Any:
            found = self.find(row)
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
    "libcloud_node": ("destroy the server", "destroy_node"),
    "libcloud_volume": ("delete the volume", "destroy_volume"),
    "libcloud_key_pair": ("delete the key pair", "delete_key_pair"),
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


def _is_gone(thing: Any) -> bool:
    """A deleted thing may stay in a listing for a while."""
    return str(getattr(thing, "state", "") or "").lower() in ("terminated", "deleted", "deleting")


def _conflict(kind: str, thing: Any) -> ResourceConflict:
    what = kind.removeprefix("libcloud_").replace("_", " ").replace("node", "server")
    return ResourceConflict(
        f"the cloud has a {what} {thing.name} that is not ours",
        remedy="look whose it is, and remove it there",
    )
