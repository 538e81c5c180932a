"""The image that servers boot from: found on the cloud, or uploaded there once.

An image that we upload is shared by all deployments on that cloud that ask for its checksum. Each
of them that uses it gives it a tag of its own, ``rdeploy:UUID``, in Glance itself, so that it is
known to deployments of other databases too. Each takes its tag away at its end, and the one that
took the last tag away deletes the image. An image without such tags is somebody else's: it is
used, never tagged and never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.openstack import download
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.download import BadImage, Checksum
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, Tries, absent_is_success

TAG = "rdeploy:"

#: Glance knows md5 itself; of the others only that which it computes (sha512 by default).
_OWN_DIGEST = "rdeploy_checksum"

#: An upload starts at the image's begin each time; one that breaks so often never ends.
_CUT_UPLOADS = 5


@dataclass(frozen=True)
class Image:
    """An image on the cloud. ``ours``: uploaded by a deployment, of whichever database."""

    id: str
    name: str
    status: str
    min_ram_mb: int
    min_disk_gb: int
    ours: bool
    owner: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Image:
        virtual = int(found.get("virtual_size") or 0)
        needed = max(int(found.get("min_disk") or 0), -(-virtual // (1 << 30)))
        return cls(
            found["id"], str(found.get("name") or ""), found["status"],
            int(found.get("min_ram") or 0), needed, bool(_users(found)),
            str(found.get("owner") or ""),
        )


def _users(found: Mapping[str, Any]) -> list[str]:
    return [tag for tag in found.get("tags") or () if tag.startswith(TAG)]


def get(cloud: Cloud, image_id: str) -> Image | None:
    found = _get(cloud, image_id)
    return Image.of(found) if found else None


def find(cloud: Cloud, checksum: Checksum) -> Image | None:
    """One that is whole; of several an upload of ours, which stays while it is used."""
    names = {"md5": ["checksum"], "sha512": ["os_hash_value"]}.get(checksum.algorithm, [])
    filters = [{name: checksum.digest} for name in names] + [{_OWN_DIGEST: str(checksum)}]
    if checksum.algorithm == "sha256":
        filters.append({"os_hash_value": checksum.digest, "os_hash_algo": "sha256"})
    found = {
        image["id"]: Image.of(image)
        for one in filters for image in cloud.glance.images.list(filters=dict(one))
    }
    whole = [image for image in found.values() if image.status == "active"]
    return min(whole, key=lambda image: (not image.ours, image.id), default=None)


def upload(
    cloud: Cloud, image_id: str, config: Mapping[str, Any], path: Path, uuid: str
) -> None:
    """Upload under an id that was chosen before: a second try cannot make a second image."""
    sums = download.digests(path, cloud.patience)
    wanted = Checksum.parse(config["checksum"])

    def post() -> Any:
        return cloud.glance.images.create(
            id=image_id, name=config["name"], disk_format=config["format"],
            container_format="bare", tags=[TAG + uuid], **{_OWN_DIGEST: str(wanted)},
        )

    # The id was chosen for this row alone, so whatever has it is ours: no time to settle.
    cloud.once(post, lambda: _get(cloud, image_id), 0)
    _send(cloud, image_id, path)
    found = _get(cloud, image_id) or {}
    algorithm = str(found.get("os_hash_algo") or "")
    whole = found.get("status") == "active" and (
        found.get("checksum") in (None, sums["md5"])
        and found.get("os_hash_value") in (None, sums.get(algorithm, found.get("os_hash_value")))
    )
    if not whole:
        raise BadImage(
            f"the image {config['name']} has not arrived whole",
            f"Glance says: {found.get('status', 'no such image')}, md5 {found.get('checksum')}; "
            f"the file's md5 is {sums['md5']}",
            "'rdeploy resume' uploads it again",
        )


def _send(cloud: Cloud, image_id: str, path: Path) -> None:
    tries, cut = Tries(cloud.patience), 0
    while True:
        sent = 0
        try:
            with path.open("rb") as file:
                try:
                    cloud.glance.images.upload(image_id, file)
                finally:
                    sent = file.tell()
            return
        except CloudRefusal as refusal:
            if sent and cut < _CUT_UPLOADS:
                # It took its time before it broke: the patience with the service begins now.
                tries, cut = Tries(cloud.patience), cut + 1
            again = tries.again(refusal)
            # Glance takes the bytes only while nothing has come: else it is ended, or half there.
            status = cloud.settled(lambda: _ended(cloud, image_id), 30.0)
            if status == "active":
                return
            if status != "queued" or not again:
                raise


def _ended(cloud: Cloud, image_id: str) -> str:
    status = str((_get(cloud, image_id) or {}).get("status", "gone"))
    return "" if status in ("saving", "importing", "uploading") else status


def use(cloud: Cloud, image_id: str, uuid: str) -> None:
    """Say that this deployment needs the image."""
    cloud.glance.image_tags.update(image_id, TAG + uuid)


def release(cloud: Cloud, image_id: str, uuid: str, settle_s: float) -> None:
    """This deployment needs it no more; with its last user it goes. Absent is success."""
    found = cloud.settled(lambda: _get(cloud, image_id), settle_s)
    if not found:
        return
    if TAG + uuid in found["tags"]:
        if _users(found) != [TAG + uuid]:
            absent_is_success(cloud.glance.image_tags.delete, image_id, TAG + uuid)
            found = _get(cloud, image_id) or {}
            if _users(found) or not found:
                return
    elif _users(found) or _OWN_DIGEST not in found:
        return  # it is others' now, or was never an upload of ours
    absent_is_success(cloud.glance.images.delete, image_id)
    if not cloud.settled(lambda: not _get(cloud, image_id), 60.0):
        raise CloudRefusal(
            f"image {image_id} is still there after its deletion",
            remedy="look with 'openstack image show', then 'rdeploy destroy' again",
        )


def _get(cloud: Cloud, image_id: str) -> dict[str, Any] | None:
    try:
        found = dict(cloud.glance.images.get(image_id))
    except CloudRefusal as refusal:
        if refusal.status == 404:
            return None
        raise
    return None if found["status"] in ("deleted", "pending_delete") else found
