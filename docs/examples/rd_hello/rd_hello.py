"""FolderProvider: servers that are folders on a host. Useless, but complete."""

from rally_deploy.model import Server
from rally_deploy.serverprovider.base import ServerProvider


class FolderProvider(ServerProvider):
    """Folders on this machine, each called a server."""

    CONFIG_SCHEMA = {
        "type": "object",
        "required": ["type", "folder"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "FolderProvider"},
            "folder": {"type": "string", "description": "where the folders are made"},
            "amount": {"type": "integer", "minimum": 1, "default": 1, "description": "how many"},
        },
        "examples": [{"type": "FolderProvider", "folder": "/srv/folders", "amount": 2}],
    }

    HOST = Server(host="localhost", connection="local")

    def create_servers(self, image_uuid=None, type_id=None, amount=None):
        numbers = range(amount or self.config["amount"])
        return self.deployment.each(self._server, numbers)

    def _server(self, number):
        made = self.create("folder", f"server-{number}", self._make, on=self.HOST)
        return Server(
            host="localhost", connection="local", name=made.name, resource_id=made.id
        )

    def _make(self, resource):
        with self.deployment.step(f"make folder {resource.name}"):
            path = f"{self.config['folder']}/{resource.name}"
            self.deployment.ssh(self.HOST).run(["mkdir", "-p", path], lock=resource.name)
        return {"path": path}

    def delete(self, resource):
        path = f"{self.config['folder']}/{resource.name}"
        shell = self.deployment.ssh(self.HOST)
        shell.run(["rm", "-rf", path], lock=resource.name)
        shell.remove_lock(resource.name)
