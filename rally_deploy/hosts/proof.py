"""The proof that a cloud works: a token, an image, a server that boots and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import CloudBroken
from rally_deploy.hosts.remote_cloud import RemoteCloud

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: Emulated guests on a busy machine are slow.
ACTIVE_TIMEOUT_S = 240.0
ANSWER_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Guest:
    """What the proof boots, each by name. Without ``external`` the guest is not reached."""

    image: str
    flavor: str
    network: str = ""
    external: str = ""
    answers: bool = True  # False: the driver's servers are not real


def prove(deployment: Deployment, cloud: RemoteCloud, guest: Guest | None) -> Mapping[str, Any]:
    """Use the cloud as a person would; CloudBroken names the part that failed.

    :param guest: None for a cloud without Nova: then the token is all that is proved.
    """
    with deployment.step("prove: a token"):
        seen = _part("no token", cloud, "token")
    if guest is None:
        return dict(seen)
    with deployment.step(f"prove: a server of {guest.image}"):
        name = f"rd-{deployment.uuid[:8]}-proof"
        made = _part("no server can be created", cloud, "boot", name=name, image=guest.image,
                     flavor=guest.flavor, network=guest.network)
        try:
            seen = _boots(deployment, cloud, guest, made["id"])
            deployment.note(_told(guest, seen))
            return seen
        finally:
            _part("the proof's server cannot be deleted", cloud, "remove_server",
                  server=made["id"])


def _told(guest: Guest, seen: Mapping[str, Any]) -> str:
    """What the user is told of the proof."""
    text = f"Proved: a server of {guest.image} was booted on the new cloud"
    if seen.get("banner"):
        text += f" and answered on {seen['address']}:22 ({seen['banner'].strip()})"
    return text + "."


def _boots(
    deployment: Deployment, cloud: RemoteCloud, guest: Guest, server: str
) -> Mapping[str, Any]:
    with deployment.step("prove: it becomes active"):
        seen = _part("a server cannot be shown", cloud, "wait_active", server=server,
                     timeout_s=ACTIVE_TIMEOUT_S, wait_s=ACTIVE_TIMEOUT_S)
        if seen["status"] != "ACTIVE":
            raise CloudBroken(
                f"the proof failed: a server is {seen['status']} instead of ACTIVE",
                seen["fault"] or f"task: {seen['task'] or 'none'}, host: {seen['host'] or 'none'}",
                "nova-compute's and nova-conductor's logs tell more; then 'rdeploy resume'",
            )
        if guest.network and not seen["addresses"]:
            raise CloudBroken("the proof failed: the server got no address")
    if guest.external and guest.answers:
        with deployment.step("prove: it answers on its floating address"):
            address = _part("no floating address", cloud, "give_floating_ip", server=server,
                            network=guest.external)["address"]
            banner = _part("", cloud, "ssh_banner", address=address,
                           timeout_s=ANSWER_TIMEOUT_S, wait_s=ANSWER_TIMEOUT_S)
            if not banner:
                console = _part("", cloud, "console", server=server)
                raise CloudBroken(
                    f"the proof failed: the server is ACTIVE but does not answer on {address}:22",
                    console or "its console is empty",
                    "its console (above) shows how far it came; neutron's agents' logs tell more",
                )
            return {**seen, "address": address, "banner": banner}
    return dict(seen)


def _part(
    brief: str, cloud: RemoteCloud, call: str, /, *, wait_s: float = 120.0, **arguments: Any
) -> Any:
    try:
        return cloud.call(call, wait_s=wait_s, **arguments)
    except CloudBroken as error:
        raise CloudBroken(
            f"the proof failed: {brief or error.brief}", error.details, error.remedy
        ) from error
