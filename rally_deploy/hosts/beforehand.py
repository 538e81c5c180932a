"""What an engine will install, told beforehand: a hint, on which nothing may depend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rally_deploy.deployment import Deployment

#: The key of packages that have their names on every release.
ANY_RELEASE = ""


@dataclass(frozen=True)
class Beforehand:
    """The packages that an engine will install, by release: ID and VERSION_ID of os-release."""

    engine: str
    packages: Mapping[str, Sequence[str]]

    def names(self, release: str) -> list[str]:
        """All that it will install on a server of this release (``debian 12``)."""
        return sorted({
            name for key in (ANY_RELEASE, release) for name in self.packages.get(key, ())
        })


def ask(deployment: Deployment, engine: Any, config: Mapping[str, Any]) -> Beforehand:
    """Ask an engine's class, which may be others' code: no failure of it is one of ours.

    :param config: the engine's block, normalized.
    """
    try:
        return Beforehand(engine.__name__, dict(engine.packages_beforehand(config)))
    except Exception as error:
        deployment.note(
            f"{engine.__name__} does not tell what it will install "
            f"({type(error).__name__}: {error})", warning=True)
        return Beforehand(engine.__name__, {})
