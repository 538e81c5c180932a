"""What carries the tag of a deployment and is in no ledger of this database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rally_deploy import on_hosts
from rally_deploy.config import normalize, plugin_name, unset_env
from rally_deploy.config.schema import nested_blocks
from rally_deploy.errors import RallyDeployError, UsageError
from rally_deploy.hosts.tagged import Tagged, list_tagged

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer
    from rally_deploy.deployment import Deployment
    from rally_deploy.on_hosts import KnownHost
    from rally_deploy.plugins import Registry
    from rally_deploy.serverprovider.base import ServerProvider
    from rally_deploy.store import Store


@dataclass(frozen=True)
class Look:
    """What a host or a cloud answered: ``found``, or why it could not be looked at."""

    where: str
    found: Sequence[Tagged]
    error: str = ""


def on_known_hosts(store: Store, hosts: Sequence[KnownHost]) -> list[Look]:
    """What is left on each of these hosts."""

    def look(host: KnownHost) -> Look:
        try:
            with on_hosts.shell_on(store, host) as shell:
                return Look(host.server.label, list_tagged(shell))
        except RallyDeployError as error:
            return Look(host.server.label, (), str(error))

    return _unowned(store, on_hosts.on_each(look, hosts))


def in_places(deployer: Deployer) -> list[Look]:
    """What is left on each cloud that a deployment of this database, destroyed or not, names."""
    # Of several logins to one place the latest is the likeliest that is still good.
    with deployer.looking(deployer.list(all=True)[::-1]) as deployments:
        asked: dict[str, Callable[[], Look]] = {}
        for deployment in deployments:
            for provider in _providers(deployment, deployer.registry):
                place = provider.place()
                if place:
                    asked.setdefault(place, _Question(place, deployment, provider))
        return _unowned(deployer.store, on_hosts.on_each(lambda ask: ask(), list(asked.values())))


def _providers(deployment: Deployment, registry: Registry) -> Iterator[ServerProvider]:
    """Those of its config; a nested engine's are in the config of a deployment of its own."""
    todo = [(deployment.config, True)]
    while todo:
        block, is_engine = todo.pop()
        find = registry.engine if is_engine else registry.provider
        try:
            schema = find(plugin_name(block)).CONFIG_SCHEMA
        except RallyDeployError:
            continue  # a plugin that is not installed any more: nobody can ask for it
        if not is_engine:
            yield deployment.provider(block)
        todo += [
            (inner, False)
            for _, inner, asked in nested_blocks(normalize(block, schema), schema)
            if asked.get("x-plugin") == "provider"
        ]


@dataclass(frozen=True)
class _Question:
    place: str
    deployment: Deployment
    provider: ServerProvider

    def __call__(self) -> Look:
        try:
            unset = [f"{key}: {text} is not set" for key, text in unset_env(self.provider.config)]
            if unset:
                raise UsageError("its login is not known", "\n".join(unset))
            return Look(self.place, self.provider.tagged())
        except RallyDeployError as error:
            text = str(error)
        except Exception as error:
            # A plugin is others' code: what it raises must not keep the other places from a look.
            text = f"{type(error).__name__}: {error}"
        return Look(self.place, (), self.deployment.mask(text))


def _unowned(store: Store, looks: Iterable[Look]) -> list[Look]:
    alive = store.resources.all_alive()
    names = {resource.name for resource in alive}
    tags = {resource.deployment_uuid[:8] for resource in alive}

    def ours(thing: Tagged) -> bool:
        # An interface has no room for its resource's name: there the tag has to do.
        is_name = thing.name.startswith(f"rd-{thing.tag}-")
        return thing.name.partition(" ")[0] in names if is_name else thing.tag in tags

    return [
        Look(look.where, [thing for thing in look.found if not ours(thing)], look.error)
        for look in looks
    ]
