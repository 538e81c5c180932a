"""Places: how many servers of a pool may be there at once, over all deployments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import LeftOver, RallyDeployError
from rally_deploy.model import Resource
from rally_deploy.serverprovider.libcloud import drivers
from rally_deploy.serverprovider.libcloud.machines import NODE

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

PLACE = "libcloud_place"

_POLL_S = 3.0


def take_places(
    deployment: Deployment, config: Mapping[str, Any], servers: Sequence[str]
) -> None:
    """A place for each server; where there are not enough, an error or (``--wait``) a wait."""
    at_most = config.get("max_nodes")
    if not at_most:
        return
    pool = config.get("pool") or drivers.fingerprint(config["driver"], config["driver_args"])

    def claim() -> bool:
        return deployment.ledger.claim(PLACE, servers, pool, at_most)

    if claim():
        return
    missing = f"{len(servers)} of the {at_most} places of {pool}"
    if not deployment.waits_for_places:
        raise RallyDeployError(
            f"there are no {missing} free ('max_nodes')",
            remedy="destroy what is not needed any more, or resume with --wait",
        )
    with deployment.step(f"wait for {missing}"):
        deployment.wait(claim, math.inf, missing, interval_s=_POLL_S)


def require_free(deployment: Deployment, place: Resource) -> None:
    """A place is taken for as long as its server may be there."""
    nodes = deployment.ledger.alive(NODE)
    left = next((node.name for node in nodes if node.key == place.key), "")
    if left:
        raise LeftOver(f"it is taken until {left} is removed")
