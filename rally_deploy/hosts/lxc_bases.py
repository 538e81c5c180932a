"""Which base container the containers of one plugin are clones of, on each of its hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rally_deploy.errors import Cancelled, RallyDeployError
from rally_deploy.hosts import lxc, lxc_base, lxc_stocked
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server
from rally_deploy.ssh.base import Shell

#: The kind of a base in the ledger, while it is made.
IMAGE = "lxc_image"


class Bases:
    """Makes sure of the base containers of its owner.

    :param config: the owner's block, normalized; its keys are those of ``lxc_schema.KEYS``.
    :param beforehand: what will be installed in the containers, if that was told.
    """

    def __init__(
        self, owner: ResourceOwner, config: Mapping[str, Any], beforehand: Beforehand | None
    ) -> None:
        self._owner = owner
        self._config = config
        self._deployment = owner.deployment
        self._beforehand = beforehand if config["engine_packages"] else None

    def make_sure(self, number: int, host: Server, begun: bool) -> str:
        """The name of the host's base, made now if it is not there.

        :param begun: containers were made there before: then the plain one will do, unless there
            is a better one already.
        """
        shell = self._deployment.ssh(host)
        image = self._plain(number, host, shell)
        return self._stocked(number, host, shell, image, begun) or image.name

    def _plain(self, number: int, host: Server, shell: Shell) -> lxc_base.BaseImage:
        config = self._config
        with self._deployment.step("prepare for containers", host):
            found = lxc.look_at(shell)
            if found.missing:
                lxc.install_packages(shell, found.missing)
                self._deployment.note(
                    f"installed {', '.join(found.missing)}: they stay after the end", host
                )
                found = lxc.look_at(shell)
            lxc.check_version(shell, found.lxc_version)
            image = lxc_base.resolve_image(
                lxc_base.BaseImage(
                    config.get("distribution", ""), config.get("release", ""),
                    config.get("arch", ""), tuple(config["packages"]),
                    tuple(config["template_options"]),
                ),
                found.distribution, found.release, found.ubuntu,
            )
            made = lxc_base.has_image(shell, image.name)
        if not made:
            with self._deployment.step(f"make the base container ({image.label}), once", host):
                self._make(f"image-{number}", host, image.name,
                           lambda row: lxc_base.build(shell, row.name, image))
        return image

    def _make(
        self, key: str, host: Server, base: str, build: Callable[[Resource], None]
    ) -> None:
        """In the ledger while it is made: from then on it is the host's."""
        row = self._owner.create(
            IMAGE, key, on=host, facts={"base": base}, make=build, adopt=True)
        self._deployment.ledger.release(row, self._owner.delete)

    def _stocked(
        self, number: int, host: Server, shell: Shell, plain: lxc_base.BaseImage, begun: bool
    ) -> str:
        """The name of the base that has the packages too; empty if there is none to be had."""
        told = self._beforehand
        if told is None or not any(told.packages.values()):
            return ""
        release = lxc_stocked.release_of(shell, plain.name)
        names = told.names(release) if release else []
        if not names:
            return ""
        image = lxc_stocked.StockedImage(plain, told.engine, tuple(names))
        if lxc_base.has_image(shell, image.name):
            return image.name
        if begun:
            return ""
        # Another version of an engine may tell other packages: that is another base, too.
        key = f"stock-{number}-{image.name.rpartition('-')[2]}"
        try:
            with self._deployment.step(
                f"keep the packages of {told.engine} in a base container, once", host
            ):
                self._make(key, host, image.name,
                           lambda row: lxc_stocked.build(shell, row.name, image))
        except Cancelled:
            raise
        except RallyDeployError as error:
            # It spares time, and must not cost anybody his cloud.
            self._deployment.note(
                f"there is no base container with the packages of {told.engine}, so that they "
                f"are installed in each container: {error}", host, warning=True)
            self._give_up(key)
            return ""
        return image.name

    def _give_up(self, key: str) -> None:
        """Clear the half away at once, as it may have taken the whole disk."""
        ledger = self._deployment.ledger
        for row in ledger.alive(IMAGE):
            if row.key == key:
                try:
                    ledger.release(row, self._owner.delete)
                except Cancelled:
                    raise
                except RallyDeployError as error:
                    self._deployment.note(
                        f"{row.facts['base']} is left for the destroy to remove: {error}",
                        row.host, warning=True)
