"""The ``openstack`` client on a deployed cloud, as a person outside of it uses it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.functional.conftest import need
from tests.functional.sshd_hosts import sh


def openstack_command():
    """The client that RDEPLOY_OPENSTACK names, of this environment, or of the machine."""
    beside = Path(sys.executable).with_name("openstack")
    if given := os.environ.get("RDEPLOY_OPENSTACK"):
        return given
    if not beside.exists():
        need("the openstack client", "openstack")
    return str(beside) if beside.exists() else shutil.which("openstack")


class Cloud:
    """A deployed cloud: ``cloud("server", "list")`` runs the client with its openrc."""

    def __init__(self, rdeploy, name):
        self.rdeploy, self.name, self._command = rdeploy, name, openstack_command()
        text = rdeploy("openrc", name).stdout
        shown = subprocess.run(
            ["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True
        ).stdout
        pairs = (line.split("=", 1) for line in shown.split("\0") if line.startswith("OS_"))
        # The newest calls; an older one asks every hypervisor for its uptime.
        self.env = {**os.environ, **dict(pairs), "OS_COMPUTE_API_VERSION": "2.88"}

    @property
    def address(self):
        return urlsplit(self.env["OS_AUTH_URL"]).hostname

    @contextmanager
    def reached_by(self, machine):
        """This machine has a way to the cloud's address over another one."""
        route = (f"{self.address}/32", "via", machine.address)
        sh("ip", "route", "add", *route)
        try:
            yield
        finally:
            sh("ip", "route", "del", *route, check=False)

    def __call__(self, *arguments, timeout=400):
        done = subprocess.run(
            [self._command, *map(str, arguments)], env=self.env, capture_output=True, text=True,
            timeout=timeout, check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def json(self, *arguments):
        return json.loads(self(*arguments, "-f", "json"))

    def hypervisors(self):
        """Name -> state."""
        listed = self.json("hypervisor", "list")
        return {h["Hypervisor Hostname"]: h["State"] for h in listed}

    def boot(self, host, image, flavor, network=""):
        """Where a server that is to be on this host runs, once it does."""
        nic = ["--network", network] if network else ["--nic", "none"]
        made = self.json("server", "create", "--image", image, "--flavor", flavor, *nic,
                         "--host", host, "--wait", f"on-{host}")
        assert made["status"] == "ACTIVE", made
        return made["OS-EXT-SRV-ATTR:host"]
