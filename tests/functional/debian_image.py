"""The whole Debian of ``debian_template`` as an image of a cloud, with a flavor that fits it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.functional import debian_template


@contextlib.contextmanager
def debian_on(cloud: Any, folder: Path, lean: bool = False) -> Iterator[dict[str, Any]]:
    """What an OpenStackProvider's block says of them; they are gone at the end.

    RDEPLOY_TEST_DEBIAN names a folder where the built disk is kept.

    :param lean: a small one, that is not to hold containers.
    """
    kept = Path(os.environ.get("RDEPLOY_TEST_DEBIAN") or folder / "template")
    memory_mb, disk_gb = (768, 2) if lean else (2048, 10)
    parts = debian_template.build(
        kept / "lean" if lean else kept, size_mb=disk_gb * 1000, lean=lean)
    images, flavors = cloud.client.glance.images, cloud.client.nova.flavors
    made: list[str] = []

    def image(name: str, file: str, form: str, **properties: str) -> str:
        one = images.create(
            name=f"rdt-{name}", disk_format=form, container_format=form if form != "qcow2" else
            "bare", visibility="public", **properties)
        made.append(one["id"])
        with (parts / file).open("rb") as data:
            images.upload(one["id"], data)
        return str(one["id"])

    flavor = flavors.create(f"rdt-debian-{memory_mb}", ram=memory_mb, vcpus=1, disk=disk_gb)
    try:
        uuid = image(
            "debian", "disk.qcow2", "qcow2", kernel_id=image("kernel", "vmlinuz", "aki"),
            ramdisk_id=image("ramdisk", "initramfs", "ari"),
            os_command_line=f"console=ttyS0 {debian_template.WORDS}",
        )
        yield {"image": {"uuid": uuid}, "flavor_id": flavor.name}
    finally:
        for one in made:
            images.delete(one)
        flavor.delete()
