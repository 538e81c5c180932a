"""Which packages go where, and their way onto the servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.engines.distro import releases, removal
from rally_deploy.engines.distro.cloud import Cloud, Node
from rally_deploy.engines.distro.schema import SERVICES
from rally_deploy.hosts import packages

if TYPE_CHECKING:
    from rally_deploy.engines.distro.engine import DistroEngine

#: The names of the jobs that run on a server whatever becomes of our connection.
JOBS = ("download", "core", "apis", "node", "guest", *(f"tables-{name}" for name in SERVICES))


def core(cloud: Cloud) -> list[str]:
    """What the controller needs first: the base, database and broker, Keystone."""
    packages_of = cloud.release.packages
    return [*packages_of["base"], *packages_of["infra"], *packages_of["keystone"]]


def apis(cloud: Cloud) -> list[str]:
    """The other services of the control plane."""
    wanted = [s for s in SERVICES if cloud.has(s) and s != "keystone"]
    return [name for service in wanted for name in cloud.release.packages[service]]


def agents(cloud: Cloud, node: Node) -> list[str]:
    """What a node's roles need beside the control plane."""
    names = list(node.release.packages["base"])
    if node.has("controller") and cloud.has("neutron"):
        names += node.release.packages["network"]
    if node.has("compute") and cloud.has("nova"):
        fake = cloud.virt_driver == "fake"
        driver = node.release.fake_driver if fake else node.release.libvirt_driver
        names += [*node.release.packages["compute"], driver]
    return names


def everything(cloud: Cloud, node: Node) -> list[str]:
    control = [*core(cloud), *apis(cloud)] if node.has("controller") else []
    return [*control, *agents(cloud, node)]


def beforehand(config: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """All that a whole cloud of each release needs, the same for all of its nodes.

    Nothing for a choice of services, so that few different base containers come to be.
    """
    if set(config["services"]) != set(SERVICES):
        return {}
    fake = config["virt_driver"] == "fake"
    return {
        f"{release.id} {release.version}": tuple(dict.fromkeys([
            *(name for names in release.packages.values() for name in names),
            release.fake_driver if fake else release.libvirt_driver,
        ]))
        for release in releases.SUPPORTED
    }


def record(engine: DistroEngine, cloud: Cloud, node: Node) -> None:
    """On a server that is not ours, remember first what was not there before us."""
    ledger = engine.deployment.ledger
    if node.ours or any(r.key == node.hostname for r in ledger.alive(removal.KIND)):
        return
    facts = removal.facts_before(node.shell, everything(cloud, node))
    engine.create(removal.KIND, node.hostname, lambda _: None, on=node.server, adopt=True,
                  facts=facts)


def download(engine: DistroEngine, cloud: Cloud, node: Node) -> None:
    """Fetch all that is missing, in one go."""
    names = packages.missing(node.shell, everything(cloud, node))
    if names:
        with engine.deployment.step("download packages", node.server):
            packages.download(node.shell, job(engine, "download"), names)


def install(engine: DistroEngine, node: Node, part: str, wanted: list[str]) -> None:
    """Install what is missing of a part."""
    names = packages.missing(node.shell, wanted)
    if names:
        with engine.deployment.step(f"install packages: {part}", node.server):
            packages.install(node.shell, job(engine, part), names, fast=node.ours)


def job(engine: DistroEngine, name: str) -> str:
    return engine.deployment.ledger.name(name)
