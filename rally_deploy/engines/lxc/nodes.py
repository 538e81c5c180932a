"""The first container as the seed of its clones, and what is done in each node once it is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rally_deploy.deployment import Deployment
from rally_deploy.errors import HostError
from rally_deploy.hosts import lxc, lxc_seed
from rally_deploy.hosts.lxc_fleet import CLONE, host_of
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.ssh import detached

_STOP_TIMEOUT_S = 180
_START_SCRIPT_TIMEOUT_S = 3600.0
_MB = 1_000_000

#: A fact of a first container: memory that was available on its host before the clones.
_BEFORE = "available_before"
#: Another: what it used of it itself, once it was deployed.
_OWN = "memory"


@dataclass(frozen=True)
class Node:
    """A container that is up."""

    row: Resource
    server: Server
    per_host: int  # containers on each host

    @property
    def place(self) -> int:
        """The number of its host."""
        return int(self.row.facts["place"])

    @property
    def number(self) -> int:
        """Counts over all hosts; those that failed keep theirs, as a resume makes them."""
        return self.place * self.per_host + int(self.row.facts["number"])

    @property
    def label(self) -> str:
        return self.server.label


@dataclass(frozen=True)
class First:
    """A host's first container, deployed."""

    node: Node
    script: str  # see DeployEngine.clone_script
    clones: frozenset[str]  # keys of the clones that are wanted on this host

    @property
    def label(self) -> str:
        return self.node.label


class Seeds:
    """Makes first containers ready to be cloned."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def prepare(self, firsts: Sequence[First]) -> Mapping[int, Resource]:
        """The seed of each place: stopped, unless it may run while it is cloned."""
        rows = self._deployment.each(self._prepare, firsts)
        return {row.facts["place"]: row for row in rows}

    @staticmethod
    def runs(row: Resource) -> bool:
        """Whether a seed runs while it is cloned, as nothing is written to what clones lie on."""
        return bool(row.facts["seed"] == lxc_seed.OVERLAY)

    def _prepare(self, first: First) -> Resource:
        row, server = first.node.row, first.node.server
        shell = self._deployment.ssh(host_of(row))
        live = {
            r.key for r in self._deployment.ledger.alive(CLONE) if r.state is ResourceState.LIVE
        }
        if "seed" not in row.facts:
            with self._deployment.step("stop it", server):
                own = sum(lxc_seed.measure_memory(shell, [row.name]).anonymous)
                lxc_seed.plant(
                    self._deployment.ssh(server), first.script, row.name, row.facts["address"])
                lxc.stop(shell, row.name, _STOP_TIMEOUT_S)
                how = lxc_seed.freeze(shell, row.name, bool(first.script))
                row = self._deployment.ledger.update(row, {"seed": how, _OWN: own})
        elif not self.runs(row) and first.clones - live:
            # A run before this one has started it; what is copied must not change meanwhile.
            lxc.stop(shell, row.name, _STOP_TIMEOUT_S)
        available = lxc_seed.measure_memory(shell).available
        self._tell_of_memory(row, len(first.clones - live), available)
        if not first.clones & live:
            row = self._deployment.ledger.update(row, {_BEFORE: available})
        if self.runs(row):
            lxc.start(shell, row.name)
        return row

    def _tell_of_memory(self, first: Resource, lack: int, available: int) -> None:
        """A warning if the clones that lack may not fit: right after its making a node has more.

        What they share with others is not counted.
        """
        own = first.facts.get(_OWN, 0)
        if lack * own > available:
            self._deployment.note(
                f"{lack} clones may need {lack * own / _MB:.0f} MB of memory, "
                f"{available / _MB:.0f} MB are available: the first container has taken "
                f"{own / _MB:.0f} MB of its own; fewer nodes per server need less",
                host_of(first), warning=True)


def run_start_script(deployment: Deployment, text: str, node: Node) -> None:
    """Run the user's script in a container, once; HostError tells what it said last."""
    row, server = node.row, node.server
    if row.facts.get("start_script"):
        return
    shell, job = deployment.ssh(server), f"{row.name}-start"
    with deployment.step("run the start script", server):
        detached.start(shell, job, text, env={
            "RDEPLOY_NAME": row.name, "RDEPLOY_NUMBER": str(node.number),
            "RDEPLOY_ADDRESS": str(row.facts["address"]),
        })
        result = detached.attach(shell, job, _START_SCRIPT_TIMEOUT_S)
        if not result.ok:
            detached.forget(shell, job)
            said = (result.stdout + result.stderr).strip().splitlines()
            raise HostError(
                server, f"the start script ended with status {result.status}",
                "\n".join(said[-12:]), "mend 'start_script', then 'rdeploy resume'",
            )
        # Recorded first: a job that is forgotten would be run again.
        deployment.ledger.update(row, {"start_script": "done"})
        detached.forget(shell, job)


def tell_memory(deployment: Deployment, rows: Sequence[Resource]) -> None:
    """One note of what a container takes, as its host counts it."""
    names: dict[Server, list[str]] = {}
    before: dict[Server, int] = {}
    for row in rows:
        names.setdefault(host_of(row), []).append(row.name)
        if _BEFORE in row.facts:
            before[host_of(row)] = row.facts[_BEFORE]
    anonymous: list[int] = []
    taken, measured = 0, 0
    for host, theirs in names.items():
        found = lxc_seed.measure_memory(deployment.ssh(host), theirs)
        anonymous += found.anonymous
        if host in before:
            taken += before[host] - found.available
            measured += len(theirs)
    text = []
    if anonymous:
        mean = sum(anonymous) / len(anonymous)
        text.append(f"{mean / _MB:.0f} MB of its own ({min(anonymous) / _MB:.0f} to "
                    f"{max(anonymous) / _MB:.0f})")
    if measured:
        text.append(f"{taken / measured / _MB:.0f} MB less available on the host")
    if text:
        deployment.note(f"memory per node: {', '.join(text)}; {len(rows)} nodes")
