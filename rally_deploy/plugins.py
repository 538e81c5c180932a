"""Plugins by their name: classes from entry points, imported when they are asked for.

The groups are ``rally_deploy.engines`` and ``rally_deploy.providers``. A plugin that cannot be
imported hurts only those who ask for it. Of two plugins of one name ours is taken before another
distribution's, and of two others the one whose distribution comes first by name; the one that is
not taken is listed as broken, so that nobody wonders.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.engines.base import DeployEngine
from rally_deploy.errors import PluginBroken, UnknownPlugin
from rally_deploy.ledger import ResourceOwner
from rally_deploy.serverprovider.base import ServerProvider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Rally's older names.
ALIASES: Mapping[str, str] = {
    "DummyProvider": "ExistingServers",
    "DummyEngine": "ExistingCloud",
}

_OURS = "rally_deploy"

#: (name, aliases, first line of the docstring, why it is broken or "")
Entry = tuple[str, tuple[str, ...], str, str]


class Registry:
    """Finds plugin classes. Reads the entry points once, on first use."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def engine(self, name: str) -> type[DeployEngine]:
        """The engine of this name or alias; raises UnknownPlugin or PluginBroken."""
        return self._find("engine", name)

    def provider(self, name: str) -> type[ServerProvider]:
        """The server provider of this name or alias; raises UnknownPlugin or PluginBroken."""
        return self._find("provider", name)

    def engines(self) -> list[Entry]:
        """Every engine with its aliases, summary, and why it is broken (or "")."""
        return self._group("engine").entries()

    def providers(self) -> list[Entry]:
        """Every server provider with its aliases, summary, and why it is broken (or "")."""
        return self._group("provider").entries()

    def _group(self, kind: str) -> _Group:
        if kind not in self._groups:
            self._groups[kind] = _Group(kind)
        return self._groups[kind]

    def _find(self, kind: str, name: str) -> Any:
        group = self._group(kind)
        if group.has(name):
            return group.load(name)
        other = "provider" if kind == "engine" else "engine"
        if self._group(other).has(name):
            raise UnknownPlugin(
                f"'{name}' is {_a(other)}, not {_a(kind)}",
                remedy=f"the {kind}s are: {', '.join(group.names())}",
            )
        near = difflib.get_close_matches(name[:80], [*group.names(), *group.aliases()], 1, 0.5)
        asked = f"did you mean '{near[0]}'? " if near else ""
        shown = name if len(name) <= 60 else name[:60] + "..."
        raise UnknownPlugin(
            f"there is no {kind} {shown!r}",
            remedy=f"{asked}the {kind}s are: {', '.join(group.names())}",
        )


class _Group:
    """The plugins of one kind."""

    def __init__(self, kind: str) -> None:
        from importlib.metadata import entry_points

        self._kind = kind
        self._base: type[ResourceOwner] = DeployEngine if kind == "engine" else ServerProvider
        self._points: dict[str, EntryPoint] = {}
        self._shadowed: list[EntryPoint] = []
        self._loaded: dict[str, type | PluginBroken] = {}
        for point in sorted(entry_points(group=f"{_OURS}.{kind}s"), key=_rank):
            taken = self._points.get(ALIASES.get(point.name, point.name))
            if taken is None:
                self._points[point.name] = point
            elif taken.value != point.value:
                self._shadowed.append(point)

    def names(self) -> list[str]:
        return sorted(self._points)

    def aliases(self) -> list[str]:
        return [alias for alias, name in ALIASES.items() if name in self._points]

    def has(self, name: str) -> bool:
        return ALIASES.get(name, name) in self._points

    def load(self, name: str) -> type:
        """The class; raises PluginBroken with the reason."""
        name = ALIASES.get(name, name)
        if name not in self._loaded:
            self._loaded[name] = self._import(self._points[name])
        found = self._loaded[name]
        if isinstance(found, PluginBroken):
            raise found
        return found

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        for name in self.names():
            also = tuple(alias for alias, real in ALIASES.items() if real == name)
            try:
                found.append((name, also, _summary(self.load(name)), ""))
            except PluginBroken as error:
                found.append((name, also, "", error.details))
        for point in self._shadowed:
            taken = self._points[ALIASES.get(point.name, point.name)]
            found.append((
                f"{point.name} ({_distribution(point)})", (), "",
                f"{_distribution(taken)} has a plugin of this name, which is taken",
            ))
        return found

    def _import(self, point: EntryPoint) -> type | PluginBroken:
        try:
            loaded = point.load()
        except (Exception, SystemExit) as error:
            # A plugin is others' code: whatever its import raises concerns only itself.
            return self._broken(point, f"{type(error).__name__}: {error}", error)
        if not isinstance(loaded, type) or not issubclass(loaded, self._base):
            return self._broken(point, f"{point.value} is not a {self._base.__name__}")
        if loaded.CONFIG_SCHEMA is ResourceOwner.CONFIG_SCHEMA or not isinstance(
            loaded.CONFIG_SCHEMA, Mapping
        ):
            return self._broken(point, f"{point.value} has no CONFIG_SCHEMA")
        abstract = sorted(getattr(loaded, "__abstractmethods__", ()))
        if abstract:
            return self._broken(point, f"{point.value} has no {', '.join(abstract)}")
        return loaded

    def _broken(
        self, point: EntryPoint, reason: str, cause: BaseException | None = None
    ) -> PluginBroken:
        error = PluginBroken(
            f"the {self._kind} {point.name} of {_distribution(point)} is broken", reason,
            "install what it needs, or mend the plugin",
        )
        error.__cause__ = cause
        return error


def _rank(point: EntryPoint) -> tuple[bool, str, str]:
    distribution = _distribution(point)
    return distribution != _OURS, distribution, point.name


def _distribution(point: EntryPoint) -> str:
    name = point.dist.name if point.dist is not None else "an unknown distribution"
    return (name or "an unknown distribution").replace("-", "_").lower()


def _summary(plugin: type) -> str:
    lines = (plugin.__doc__ or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def _a(kind: str) -> str:
    return "an engine" if kind == "engine" else f"a {kind}"
