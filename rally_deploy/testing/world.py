"""A small outside world: a folder with one link per thing. It outlives its users' processes.

What a link leads to are the thing's facts as JSON.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from rally_deploy.errors import RallyDeployError
from rally_deploy.testing.killing import outside_call


class WorldRefuses(RallyDeployError):
    """The fault that a test asked for."""


class World:
    """Things by name. Each method is one outside call.

    :param delay_s: how long each call takes.
    :param refuse: names (or parts of names) that cannot be made.
    """

    def __init__(self, folder: str | Path, delay_s: float = 0.0, refuse: str = "") -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._delay_s, self._refuse = delay_s, refuse

    def make(self, name: str, **facts: Any) -> None:
        """Make a thing; one of that name that is there already is a fault of the caller."""
        with outside_call():
            time.sleep(self._delay_s)
            if self._refuse and self._refuse in name:
                raise WorldRefuses(f"{name} cannot be made", remedy="take 'refuse' out")
            # In one step, whole, and only if there is none: a kill leaves no half of it.
            (self._folder / name).symlink_to(json.dumps(facts))

    def delete(self, name: str) -> None:
        """Delete a thing, and what is inside it; absent is success."""
        with outside_call():
            for path in self._folder.iterdir():
                if path.name == name or _inside(path) == name:
                    path.unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        with outside_call():
            return (self._folder / name).is_symlink()

    def names(self) -> list[str]:
        """All things there are; a look of the test, no outside call."""
        return sorted(path.name for path in self._folder.iterdir())


def _inside(path: Path) -> str | None:
    """What this thing is inside of; None too for one that is gone meanwhile."""
    try:
        found: str | None = json.loads(os.readlink(path)).get("inside")
    except FileNotFoundError:
        return None
    return found
