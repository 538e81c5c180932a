"""A deployment whose engine only asks its LxcProvider for servers, on hosts given in the test."""

from __future__ import annotations

from rally_deploy.config import normalize
from rally_deploy.engines.base import DeployEngine
from rally_deploy.hosts import lxc_base, lxc_stocked
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.model import Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.lxc import LxcProvider
from rally_deploy.ssh.base import NoObserver
from rally_deploy.ssh.local import LocalShell
from rally_deploy.testing.contract import open_deployer, open_deployment

LOCAL = {"host": "localhost", "connection": "local", "name": "here"}


class GivenHosts(ServerProvider):
    """The hosts of its block, unchecked."""

    CONFIG_SCHEMA = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "hosts"],
        "properties": {
            "type": {"type": "string", "description": "GivenHosts"},
            "hosts": {"type": "array", "description": "credentials of each"},
        },
        "examples": [{"type": "GivenHosts", "hosts": [LOCAL]}],
    }

    def create_servers(self, image_uuid=None, type_id=None, amount=None):
        return [Server.from_dict(host) for host in self.config["hosts"]]


class ServersOnly(DeployEngine):
    """Gets servers, and no cloud on them."""

    CONFIG_SCHEMA = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "provider"],
        "properties": {
            "type": {"type": "string", "description": "ServersOnly"},
            "provider": {"type": "object", "x-plugin": "provider", "description": "servers"},
        },
        "examples": [{"type": "ServersOnly", "provider": {"type": "GivenHosts", "hosts": []}}],
    }

    def deploy(self):
        self.create_servers()
        return {"admin": None, "users": [], "services": {}}


def config(hosts=(LOCAL,), **keys):
    """A whole config with this LxcProvider block."""
    return {
        "type": "ServersOnly",
        "provider": {
            "type": "LxcProvider", "containers_per_host": 1, "distribution": "debian",
            "release": "bookworm",
            "host_provider": {"type": "GivenHosts", "hosts": list(hosts)}, **keys,
        },
    }


def deployer(folder, watcher=None):
    folder.mkdir(exist_ok=True)
    return open_deployer(folder, GivenHosts, ServersOnly, LxcProvider, watcher=watcher)


def deployment(rig, *args, **keys):
    return open_deployment(rig, config(*args, **keys))


def provider(entity):
    """The LxcProvider of a deployment entity, as its engine gets it."""
    return entity.provider(entity.config["provider"])


def local_shell():
    """This machine."""
    return LocalShell(Server.from_dict(LOCAL), NoObserver())


def make_base():
    """The base container that ``config`` asks for, made on this machine if it is not there yet."""
    shell = local_shell()
    image = lxc_base.BaseImage("debian", "bookworm")
    if not lxc_base.has_image(shell, image.name):
        lxc_base.build(shell, "rdt-base", image)
    return image.name


def make_stocked_base(engine, **keys):
    """That with what this engine will install, made on this machine if it is not there yet.

    Machines of ``hardware_nodes`` have the bases that are here when they begin.
    """
    shell, plain = local_shell(), make_base()
    told = Beforehand(
        engine.__name__, engine.packages_beforehand(normalize(keys, engine.CONFIG_SCHEMA)))
    image = lxc_stocked.StockedImage(
        lxc_base.BaseImage("debian", "bookworm"), told.engine,
        tuple(told.names(lxc_stocked.release_of(shell, plain))))
    if not lxc_base.has_image(shell, image.name):
        lxc_stocked.build(shell, "rdt-stocked", image)
    return image.name
