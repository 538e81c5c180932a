"""What a new cloud comes with: an image, flavors, networks that reach the outside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rally_deploy.engines.distro.bridges import External
from rally_deploy.errors import RallyDeployError
from rally_deploy.hosts.cloud_client import Call
from rally_deploy.hosts.guest_image import GuestFiles
from rally_deploy.hosts.proof import Guest
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.ssh.base import STATE_DIR, Shell

GUEST = "rdeploy-guest"
#: Name: memory in MiB, disk in GiB, cores.
FLAVORS = {GUEST: (160, 1, 1), "m1.tiny": (512, 1, 1), "m1.small": (2048, 10, 1)}

_HASHES = {32: "md5", 64: "sha256", 128: "sha512"}

_FETCH = """
url=$1 path=$2 kind=$3 sum=$4
mkdir -p "$(dirname "$path")"
if [ -n "$url" ]; then
    python3 -c 'import shutil, sys, urllib.request as r
with r.urlopen(sys.argv[1], timeout=60) as a, open(sys.argv[2], "wb") as f:
    shutil.copyfileobj(a, f)' "$url" "$path"
fi
[ -z "$sum" ] || echo "$sum  $path" | "${kind}sum" -c --quiet - >&2
"""


@dataclass(frozen=True)
class Networks:
    """The names of the networks that servers and floating addresses are on; may be empty."""

    tenant: str = ""
    external: str = ""


def default_networks(external: External) -> list[dict[str, Any]]:
    """A tenant network, and one whose addresses the controller's neighbours reach."""
    return [
        {"name": "public", "cidr": external.cidr, "external": True, "gateway": external.gateway,
         "free_range": f"{external.first}-{external.last}"},
        {"name": "private", "cidr": "192.168.233.0/24", "external": False},
    ]


def make_networks(cloud: RemoteCloud, wanted: Sequence[Mapping[str, Any]]) -> Networks:
    """The networks, one router among them, and ping and SSH let in."""
    made = cloud.calls([_network_call(network) for network in wanted], 180)
    pairs = list(zip(wanted, made, strict=True))
    external = next(((n, m) for n, m in pairs if n.get("external")), None)
    tenants = [(n, m) for n, m in pairs if not n.get("external")]
    calls = [Call("ensure_open_for_ssh")]
    if tenants and external:
        calls.append(Call("ensure_router", {
            "name": "router", "external": external[1]["id"],
            "subnets": [m["subnet_id"] for _, m in tenants],
        }))
    cloud.calls(calls, 180)
    return Networks(
        tenants[0][0]["name"] if tenants else "",
        external[0]["name"] if external and tenants else "",
    )


def _network_call(network: Mapping[str, Any]) -> Call:
    first, _, last = (network.get("free_range") or "").partition("-")
    return Call("ensure_network", {
        "name": network["name"], "cidr": network["cidr"],
        "external": bool(network.get("external")), "gateway": network.get("gateway") or "",
        "first": first.strip(), "last": last.strip(),
    })


def make_guest(cloud: RemoteCloud, files: GuestFiles, real: bool, compute: bool) -> None:
    """The small image, and with Nova the flavors."""
    image = (
        Call("ensure_guest", {"name": GUEST, "kernel": files.kernel, "ramdisk": files.ramdisk,
                              "disk": files.disk})
        if real else
        Call("ensure_image", {"name": GUEST, "path": files.disk, "disk_format": "raw"})
    )
    flavors = [
        Call("ensure_flavor", {"name": name, "ram": ram, "disk": disk, "vcpus": cores})
        for name, (ram, disk, cores) in FLAVORS.items()
    ]
    cloud.calls([image, *(flavors if compute else [])], 300)


def make_image(cloud: RemoteCloud, shell: Shell, image: Mapping[str, Any]) -> None:
    """An image of the config: fetched by the controller, or sent there if it is a file here."""
    path = f"{STATE_DIR}/images/{hashlib.sha256(image['url'].encode()).hexdigest()[:16]}"
    url = image["url"]
    if "://" not in url or url.startswith("file://"):
        source = Path(url.removeprefix("file://"))
        try:
            shell.put(path, source.read_bytes())
        except OSError as error:
            raise RallyDeployError(
                f"the image {image['name']} cannot be read", str(error),
                "mend its 'url' in the config",
            ) from error
        url = ""
    kind, _, value = (image.get("checksum") or "").rpartition(":")
    kind = kind or _HASHES.get(len(value), "sha256")
    try:
        shell.script(_FETCH, url, path, kind, value, timeout_s=3600)
        cloud.call("ensure_image", name=image["name"], path=path,
                   disk_format=image.get("format") or "qcow2", wait_s=1800)
    finally:
        shell.run(["rm", "-f", path])


def proof_guest(networks: Networks, real: bool) -> Guest:
    return Guest(GUEST, GUEST, networks.tenant, networks.external, answers=real)
