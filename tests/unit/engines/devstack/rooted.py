"""A server that is a folder: scripts are run for real in it, what needs a machine is a stub."""

import getpass
import os
import re
import subprocess

from rally_deploy.model import Server
from rally_deploy.ssh.base import NoObserver, Result, Shell

#: Who runs the tests is the account that DevStack runs as.
USER = getpass.getuser()

#: Folders of the server; all else that its scripts name is the machine's own.
FOLDERS = re.compile(r"(?<![\w./-])/(etc|opt/stack|srv|usr/local/bin|var|run|home)(?=/|\b)")

#: Commands that tell only the folder's own accounts, or do nothing but note that they were called.
STUBS = {
    "getent": 'grep -s "^$2:" "$ROOT/etc/$1"',
    "id": 'grep -qs "^$1:" "$ROOT/etc/passwd"',
    "runuser": 'shift 2; if [ "$1" = -- ]; then shift; fi; exec "$@"',
    "dpkg": '[ "$1" = -S ] && grep -qxs "$2" "$ROOT/owned"',
    "locale": "echo en_US.utf8",
    "systemctl": 'case $1 in list-units) ls "$ROOT/etc/systemd/system" ;; esac',
    **dict.fromkeys(
        ("pkill", "pgrep", "userdel", "groupdel", "iptables", "iptables-save", "localedef",
         "dpkg-query", "apt-get", "ip", "virsh", "losetup", "ovs-vsctl", "pvs", "vgremove",
         "umount"), ""),
}


class RootedShell(Shell):
    """``called``: the lines that the stubs have noted."""

    def __init__(self, root):
        super().__init__(Server("192.0.2.10", name="ctl"), NoObserver())
        self.root, self.bin = root, root / "stubs"
        for folder in ("stubs", "etc/systemd/system", "var/log/apt", "var/lib/apt", "opt",
                       "usr/local/bin"):
            (root / folder).mkdir(parents=True)
        for name, text in STUBS.items():
            self.stub(name, text)

    def stub(self, name, text):
        path = self.bin / name
        path.write_text(f'#!/bin/sh\nROOT={self.root}\necho "{name} $*" >>$ROOT/called\n{text}\n')
        path.chmod(0o755)

    def path(self, path):
        return self.root / path.lstrip("/")

    def write(self, path, text=""):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def account(self, name=USER, home="/opt/stack"):
        with self.path("etc/passwd").open("a") as file:
            file.write(f"{name}:x:1000:1000::{self.path(home)}:/bin/bash\n")

    def unit(self, name):
        self.write(f"etc/systemd/system/devstack@{name}.service")

    @property
    def called(self):
        noted = self.root / "called"
        return noted.read_text().splitlines() if noted.exists() else []

    def below(self, path):
        """The names in a folder of the server."""
        top = self.path(path)
        return sorted(p.name for p in top.iterdir()) if top.exists() else None

    def execute(self, command, stdin, timeout_s, quiet):
        here = FOLDERS.sub(lambda m: f"{self.root}{m[0]}", command.replace(str(self.root), ""))
        text = stdin.decode().replace(str(self.root), "")
        done = subprocess.run(
            ["sh", "-c", here], input=FOLDERS.sub(lambda m: f"{self.root}{m[0]}", text),
            capture_output=True, text=True, check=False,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.root)},
        )
        return Result(command, done.returncode, done.stdout, done.stderr, 0.0)
