"""A machine that was there before: a container that another deployment made."""

from __future__ import annotations

import contextlib
import difflib
import subprocess

from rally_deploy.testing.fakes import plugin_path
from tests.functional.conftest import ONE_CONTAINER, Rdeploy

#: All that an engine could leave on it.
LOOK = r"""
dpkg-query -W -f '${Package} ${db:Status-Status}\n' | grep -v not-installed | sort
cut -d: -f1 /etc/passwd /etc/group
find /etc /opt /srv /root /var/lib/rdeploy /usr/local /home -xdev \
    ! -name '*-' ! -name ld.so.cache ! -path '*/.ssh*' ! -path /etc -printf '%p %m %u\n' | sort
sha256sum /etc/hosts /etc/sudoers /etc/systemd/system.conf /etc/passwd /etc/environment /etc/motd
systemctl list-unit-files --no-legend --no-pager | awk '{print $1, $2}'
mount | grep -c /sys/kernel/mm
locale -a
iptables-save 2>/dev/null | grep -v '^#' || :
ip -o link | cut -d: -f2 | sort
ip netns list
# Of other machines on this kernel there are some, too.
losetup -a | grep stack-volumes
grep -o ' /opt/[^ ]*' /proc/mounts
"""


class Stranger:
    """The first server of a deployment; for all others it is nobody's."""

    def __init__(self, rdeploy, name):
        self.host = rdeploy.json("show", name)["servers"][0]["host"]
        config = rdeploy("ssh-config", name).stdout
        self.key = next(
            line.split(None, 1)[1].strip('"') for line in config.splitlines()
            if "IdentityFile" in line
        )

    def run(self, command):
        done = subprocess.run(
            ["ssh", "-i", self.key, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=QUIET", f"root@{self.host}",
             command],
            capture_output=True, text=True, timeout=120, check=False,
        )
        return done.stdout

    def look(self):
        return self.run(LOOK).splitlines()

    def changes(self, before):
        """How it looks now beside how it looked then, as a diff; empty if alike."""
        found = difflib.unified_diff(before, self.look(), "before", "now", lineterm="", n=0)
        return "\n".join(found)

    @property
    def provider(self):
        return {"type": "ExistingServers",
                "credentials": [{"host": self.host, "user": "root", "key": self.key}]}


@contextlib.contextmanager
def made(folder):
    """One for as long as this lasts."""
    rdeploy = Rdeploy(folder / "home")
    rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
    file = rdeploy.config("machine", {
        "type": "FakeEngine", "world": str(folder / "world"), "provider": ONE_CONTAINER})
    try:
        rdeploy("create", "--name", "machine", "--file", file)
        yield Stranger(rdeploy, "machine")
    finally:
        rdeploy("destroy", "machine", "--yes")
