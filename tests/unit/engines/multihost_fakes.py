"""An engine on the fake world that also answers what MultihostEngine asks of one."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rally_deploy.errors import CloudBroken
from rally_deploy.testing.fakes import FakeEngine


class FakeCloud(FakeEngine):
    """A controller or a node: its servers are computes, and those admitted are files.

    ``hooks`` of a subclass are called first: method name -> function of the engine.
    """

    hooks: ClassVar[dict] = {}

    CONFIG_SCHEMA = {
        **FakeEngine.CONFIG_SCHEMA,
        "properties": {
            **FakeEngine.CONFIG_SCHEMA["properties"],
            "note": {"type": "string", "default": "", "description": "any text"},
            "fail": {"type": "string", "default": "", "description": "a file that makes it fail"},
            "mute": {"type": "string", "default": "", "description": "a host that stays down"},
            "unnamed": {"type": "boolean", "default": False, "description": "no own host name"},
            "engine": {"type": "object", "default": {}, "description": "an inner engine"},
        },
    }

    def _hook(self, name, *arguments):
        self.hooks.get(name, lambda *_: None)(self, *arguments)

    def delete(self, resource):
        self._hook("delete", resource)
        super().delete(resource)

    def cleanup(self):
        self._hook("cleanup")
        super().cleanup()

    def deploy(self):
        self._hook("deploy")
        result = super().deploy()
        fail = self.config["fail"]
        if fail and Path(fail).exists():
            raise CloudBroken(f"{self.deployment.name} is broken", remedy="remove the file")
        return result if not self.deployment.handed else {"admin": None, "users": []}

    def hand_on(self):
        return {
            **super().hand_on(),
            "controller_transport_url":
                f"rabbit://openstack:{self.deployment.secret('rabbit_password')}@192.0.2.1/",
            "controller_rabbit_password": self.deployment.secret("rabbit_password"),
        }

    def compute_hosts(self):
        names = [server.name for server in self.deployment.servers()]
        return ["localhost" for _ in names] if self.config["unnamed"] else names

    def admit(self, hosts):
        down = [host for host in hosts if self.config["mute"] and self.config["mute"] in host]
        for host in hosts:
            if host not in down:
                self.create("fake_host", host, self._make, name=f"{host}-is-known")
        if down:
            raise CloudBroken("not all computes have come up", "\n".join(down))
