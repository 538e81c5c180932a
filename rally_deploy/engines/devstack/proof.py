"""The proof of a cloud that DevStack made, with what DevStack put into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.hosts.cloud_client import Call
from rally_deploy.hosts.proof import Guest, prove
from rally_deploy.hosts.remote_cloud import RemoteCloud

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: Networks that are taken first where there are several.
_PREFERRED = ("private", "shared")


def prove_cloud(deployment: Deployment, cloud: RemoteCloud) -> None:
    """A token and the catalog; with a compute, an image, a flavor: a server that gets ACTIVE."""
    prove(deployment, cloud, _guest(deployment, cloud))


def _guest(deployment: Deployment, cloud: RemoteCloud) -> Guest | None:
    services = cloud.call("catalog")
    missing = [kind for kind in ("compute", "image", "network") if kind not in services]
    if missing:
        deployment.note(f"No server is booted: there is no {' and no '.join(missing)} service.")
        return None
    services_up, found = cloud.calls([Call("services_up"), Call("guests")])
    if not any(s["name"] == "nova-compute" and s["up"] for s in services_up):
        deployment.note("No server is booted: no compute is a part of it yet.")
        return None
    if not found["images"] or not found["flavors"]:
        deployment.note("No server is booted: there is no image or no flavor.", warning=True)
        return None
    pairs = ((i, f) for i in found["images"] for f in found["flavors"] if _fits(i, f))
    image, flavor = next(pairs, (None, None))
    if image is None or flavor is None:
        deployment.note("No server is booted: no flavor is large enough for an image.",
                        warning=True)
        return None
    networks = found["networks"]
    network = next((n for n in _PREFERRED if n in networks), next(iter(networks), ""))
    return Guest(image["name"], flavor["name"], network)


def _fits(image: Mapping[str, Any], flavor: Mapping[str, Any]) -> bool:
    return bool(flavor["ram"] >= image["ram"] and
                (not flavor["disk"] or flavor["disk"] >= image["disk"]))
