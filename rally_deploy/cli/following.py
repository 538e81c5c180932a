"""``-f``: look again until the deployment is at rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rally_deploy.model import MOVING

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer

_LOOK_S = 0.5


def follow(deployer: Deployer, uuid: str, show: Callable[[], None], on: bool) -> None:
    """Call ``show`` once, or, if ``on``, until nobody works on the deployment any more."""
    while True:
        record = deployer.find(uuid)
        # Asked before the look: what came in between is still shown.
        at_rest = record.state not in MOVING or deployer.is_stale(record)
        show()
        if at_rest or not on:
            return
        time.sleep(_LOOK_S)
