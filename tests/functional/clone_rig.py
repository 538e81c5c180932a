"""An inner engine for LxcEngine that is quick: a "cloud" of one file and one service."""

from __future__ import annotations

from pathlib import Path

from rally_deploy.engines.base import DeployEngine
from rally_deploy.errors import CloudBroken
from rally_deploy.testing.killing import outside_call

CONF = "/etc/rdt-node.conf"
SEEN = "/run/rdt-node.seen"

_SET_UP = f"""
printf 'host=%s\\nmy_ip=%s\\n' "$1" "$2" >{CONF}
cat >/etc/systemd/system/rdt-node.service <<END
[Service]
ExecStart=/bin/sh -c 'cp {CONF} {SEEN}; case "\\$(hostname)" in *$3) exit 1;; esac; sleep infinity'
[Install]
WantedBy=multi-user.target
END
systemctl enable -q --now rdt-node.service
"""

_CLONE = f"""
sed -i "s/^host=$1\\$/host=$2/; s/^my_ip=$3\\$/my_ip=$4/" {CONF}
case $2 in *@REFUSED@) echo "this clone is refused"; exit 3 ;; esac
"""


class FileNode(DeployEngine):
    """A node that knows its name and its address from a file."""

    CONFIG_SCHEMA = {
        "type": "object",
        "required": ["type", "provider"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "FileNode"},
            "provider": {"type": "object", "x-plugin": "provider", "description": "the server"},
            "fail": {"type": "boolean", "default": False, "description": "to deploy nothing"},
            "computes": {"type": "boolean", "default": True, "description": "it has a compute"},
            "refused": {"type": "string", "default": "none",
                        "description": "end of the names of clones that must not start"},
            "sick": {"type": "string", "default": "none",
                     "description": "end of the names of clones whose service fails"},
        },
        "examples": [{"type": "FileNode", "provider": {"type": "GivenServers", "servers": []}}],
    }

    def deploy(self):
        server = self.create_servers()[0]
        shell = self.deployment.ssh(server)

        def make(row):
            with outside_call():
                shell.script(_SET_UP, server.name, server.host, self.config["sick"])

        self.create("file_node", "node", make, on=server)
        if self.config["fail"]:
            raise CloudBroken(f"{server.name} was to fail")
        return {"admin": None, "users": [], "services": {"compute": f"http://{server.host}/"}}

    def compute_hosts(self):
        if not self.config["computes"]:
            return []
        return [server.name for server in self.deployment.servers()]

    def clone_script(self):
        return _CLONE.replace("@REFUSED@", self.config["refused"])

    def delete(self, resource):
        """It ends with the container that it is in."""


def plugin_path(folder: Path) -> str:
    """Make it known to an ``rdeploy`` in another process: put this on its PYTHONPATH."""
    info = folder / "rdt_clone_rig-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rdt-clone-rig\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rally_deploy.engines]\nFileNode = tests.functional.clone_rig:FileNode\n"
    )
    return str(folder)
