"""A controller first, then all nodes at the same time, each a deployment of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rally_deploy.config import substitute
from rally_deploy.deployment import Deployment
from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.multihost import conflicts, handed, schema
from rally_deploy.errors import (
    Cancelled,
    CloudBroken,
    LeftOver,
    PartlyDeployed,
    RallyDeployError,
)
from rally_deploy.model import State

CONTROLLER = "controller"


@dataclass
class Outcome:
    """What became of a node: its computes, or what kept it from being ready."""

    hosts: list[str] = field(default_factory=list)
    error: Exception | None = None


class MultihostEngine(DeployEngine):
    """A controller, then nodes of any engines around it, all at the same time."""

    CONFIG_SCHEMA = schema.CONFIG_SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def config_warnings(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.warnings(config)

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """How many nodes there will be."""
        count = sum(conflicts.count_of(node) for node in config["nodes"])
        yield f"deploys the controller, then {_nodes(count)} around it at the same time"

    def deploy(self) -> dict[str, Any]:
        step = self.deployment.step
        raw = self.deployment.raw_config
        controller = self.deployment.child(CONTROLLER, raw["controller"])
        try:
            with step("deploy the controller"):
                controller.deploy()
        finally:
            self.deployment.record_servers(controller.servers())
        self.deployment.move(State.DEPLOYING)
        with step("ask the controller what nodes need to know"):
            values = handed.values_of(controller)
            handed.require_values(raw["nodes"], values)
        blocks = [
            {key: value for key, value in block.items() if key != "count"}
            for block in raw["nodes"] for _ in range(conflicts.count_of(block))
        ]
        with step(f"deploy {_nodes(len(blocks))}"):
            outcomes = self._deploy_nodes(controller, blocks, values)
        failures = {name: o.error for name, o in outcomes.items() if o.error}
        try:
            self._admit(controller, outcomes)
        except RallyDeployError as error:
            if failures:
                raise _failed(failures, len(blocks), f"the others: {error}") from error
            raise
        if failures:
            raise _failed(failures, len(blocks)) from next(iter(failures.values()))
        for node in self._nodes():
            node.engine().settled()
        return dict(controller.result())

    def _deploy_nodes(
        self, controller: Deployment, blocks: Sequence[Mapping[str, Any]],
        values: Mapping[str, str],
    ) -> dict[str, Outcome]:
        """Deploy what is not ready yet; a node that fails does not keep the others."""
        configs = {f"node-{n}": substitute(block, values) for n, block in enumerate(blocks)}
        # All rows before the first node begins, so that they stand in their order.
        nodes = {name: self.deployment.child(name, c, values) for name, c in configs.items()}

        def deploy(name: str) -> Outcome:
            node = nodes[name]
            try:
                with self.deployment.step(f"deploy {name}"):
                    if _older(node, controller):
                        node.destroy()
                        node = self.deployment.child(name, configs[name], values)
                    node.deploy()
                    return Outcome(node.engine().compute_hosts())
            except Cancelled:
                raise
            except Exception as error:
                # Whatever one node meets, the others are to be finished, and its own machines too.
                hosts = error.hosts if isinstance(error, PartlyDeployed) else ()
                return Outcome(list(hosts), error)

        try:
            found = self.deployment.each(deploy, configs, limit=len(configs))
        finally:
            everyone = [controller, *nodes.values()]
            self.deployment.record_servers([s for d in everyone for s in d.servers()])
            for node in nodes.values():
                if node.state is State.NEW:  # cancelled before its turn came
                    node.move(State.CANCELLED, "cancelled")
        return dict(zip(configs, found, strict=True))

    def _admit(self, controller: Deployment, outcomes: Mapping[str, Outcome]) -> None:
        hosts = [host for outcome in outcomes.values() for host in outcome.hosts]
        twice = sorted(host for host, count in Counter(hosts).items() if count > 1)
        if twice:
            raise CloudBroken(
                f"several computes have the same host name: {', '.join(twice)}",
                "\n".join(f"{name}: {', '.join(o.hosts)}" for name, o in outcomes.items()
                          if set(twice) & set(o.hosts)),
                "give each of them a host name of its own, destroy and create again",
            )
        if hosts:
            with self.deployment.step(f"wait until {len(hosts)} computes are up"):
                controller.engine().admit(hosts)

    def _nodes(self) -> list[Deployment]:
        return [c for c in self.deployment.children() if _short(c) != CONTROLLER]

    def undoing(self) -> list[Callable[[], None]]:
        """The nodes at the same time, then the controller."""
        nodes = self._nodes()
        controller = [c for c in self.deployment.children() if _short(c) == CONTROLLER]
        return [
            self.release_all,
            lambda: self._destroy(nodes),
            lambda: self._destroy(controller),
        ]

    def _destroy(self, children: Sequence[Deployment]) -> None:
        failures: dict[str, Exception] = {}

        def destroy(child: Deployment) -> None:
            try:
                with self.deployment.step(f"destroy {_short(child)}"):
                    child.destroy()
            except Cancelled:
                raise
            except Exception as error:
                # Whatever keeps one of them must not keep the others.
                failures[_short(child)] = error

        self.deployment.each(destroy, children, limit=len(children))
        if failures:
            first = next(iter(failures.values()))
            raise LeftOver(
                f"{', '.join(failures)} could not be removed whole", _told(failures),
                getattr(first, "remedy", "") or "run 'rdeploy destroy' again",
            ) from first


def _older(node: Deployment, controller: Deployment) -> bool:
    """Whether a node was made for a controller that has been made anew since."""
    made, there = node.record.ready_at, controller.record.ready_at
    return node.state is State.READY and bool(made and there and made < there)


def _short(child: Deployment) -> str:
    return child.name.rpartition("/")[2]


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"


def _told(failures: Mapping[str, Exception]) -> str:
    return "\n".join(f"{name}: {error or type(error).__name__}"
                     for name, error in failures.items())


def _failed(
    failures: Mapping[str, Exception], count: int, others: str = ""
) -> RallyDeployError:
    return RallyDeployError(
        f"{len(failures)} of {_nodes(count)} failed: {', '.join(failures)}",
        "\n".join(filter(None, (_told(failures), others))),
        "mend what is named, then 'rdeploy resume': it deploys only what is not ready",
    )
