"""Machines for tests of several hosts: each a network namespace with sshd and LXC of its own.

A login on such a node sees the node's own interfaces, firewall, containers and /run. What is made
carries the prefix ``rdt``; at the end all of it is gone, also what a failed test left running.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rally_deploy.hosts.network import FORWARDING
from rally_deploy.model import Server
from tests.functional.sshd_hosts import SSHD, keygen, sh, until

LXC = Path("/var/lib/lxc")
STATE = Path("/var/lib/rdeploy")

_SSHD_CONFIG = """\
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
ListenAddress {address}
MaxStartups 100
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
"""

# Not `ip netns exec`: that hides the cgroup mounts, and containers then do not start.
_ENTER = """
set -e
mount --make-rprivate /
mount --bind "$1/rdeploy" /var/lib/rdeploy
for base in /var/lib/lxc/rd-base-*; do
    [ -e "$base/rdeploy-image.json" ] || continue
    own="$1/lxc/${base##*/}"
    mkdir -p "$own/rootfs"
    cp "$base/config" "$base/rdeploy-image.json" "$own/"
    mount --bind "$base/rootfs" "$own/rootfs"
done
mount --rbind "$1/lxc" /var/lib/lxc
mount -t tmpfs tmpfs /run
# LXC looks for its bridge in /sys, and needs the control groups that are mounted below it.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
rmdir /run/cgroup
mkdir -p /run/sshd /run/lock /run/lxc
echo 0 >/proc/sys/net/ipv4/ip_forward
exec "$2" -D -e -f "$1/sshd_config"
"""


@dataclass
class Node:
    """One machine; ``server`` is how to log in."""

    name: str
    address: str
    folder: Path
    key: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        return Server(host=self.address, name=self.name, key=str(self.key))

    @property
    def credentials(self) -> dict[str, str]:
        """Its entry in the ``credentials`` of a config."""
        return {"host": self.address, "user": "root", "key": str(self.key)}

    def run(self, *argv: str, check: bool = True) -> str:
        """A command on the node, without SSH."""
        assert self.process is not None
        return sh("nsenter", "-t", str(self.process.pid), "-n", "-m", *argv, check=check)

    def greeting(self, address: str, port: int = 22) -> str:
        """What an SSH server answers this node; empty if none does."""
        return self.run("timeout", "5", "bash", "-c",
                        f"read line </dev/tcp/{address}/{port}; echo $line", check=False)

    def start(self) -> None:
        for name in ("lxc", "rdeploy"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        keygen(self.folder / "host_key")
        shutil.copy(f"{self.key}.pub", self.folder / "authorized_keys")
        (self.folder / "sshd_config").write_text(
            _SSHD_CONFIG.format(folder=self.folder, address=self.address)
        )
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "-m",
             "sh", "-c", _ENTER, "node", str(self.folder), str(SSHD)],
            stdin=subprocess.DEVNULL, stdout=(self.folder / "sshd.log").open("wb"),
            stderr=subprocess.STDOUT, start_new_session=True,
        )
        until(lambda: f"{self.address}:22" in sh("ip", "netns", "exec", self.name, "ss", "-Hltn"),
              "the node", timeout_s=10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            for container in self.run("lxc-ls", "-1", check=False).split():
                self.run("lxc-stop", "-k", "-n", container, check=False)
        for pid in sh("ip", "netns", "pids", self.name, check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        if self.process is not None:
            self.process.wait(10)

    def left_over(self) -> list[str]:
        """What a deployment could have left here."""
        assert self.process is not None
        containers = [f"container {name}" for name in self.run("lxc-ls", "-1").split()]
        links = [f"interface {line.split(': ')[1]}" for line in
                 self.run("ip", "-o", "link").splitlines()]
        rules = [line for line in self.run("iptables-save", check=False).splitlines()
                 if "rd-" in line]
        files = [str(p) for top in ("lxc", "rdeploy") for p in (self.folder / top).iterdir()]
        run = [f"/run/{name}" for name in self.run("ls", "/run").split()]
        forwarding = self.run("cat", "/proc/sys/net/ipv4/ip_forward").strip()
        usual = ("container rd-base-", "interface lo", "interface eth0", "interface ifb",
                 f"{self.folder}/lxc/rd-base-", f"{self.folder}/rdeploy/locks",
                 "/run/sshd", "/run/lock", "/run/lxc", "/run/xtables.lock", "/run/mount")
        return [thing for thing in (*containers, *links, *rules, *files, *run)
                if not thing.startswith(usual)] + ([] if forwarding == "0" else ["ip_forward"])


@contextlib.contextmanager
def way_out(bridge: str, network: str) -> Iterator[None]:
    """What is on this bridge reaches what this machine reaches: packages, say."""
    own = ("-m", "comment", "--comment", bridge)
    rules = [
        ("-t", "nat", "{}", "POSTROUTING", "-s", f"{network}.0/24", "!", "-d", f"{network}.0/24",
         *own, "-j", "MASQUERADE"),
        *(("-t", "filter", "{}", "FORWARD", way, bridge, *own, "-j", "ACCEPT")
          for way in ("-i", "-o")),
    ]

    def change(action: str) -> None:
        for rule in rules:
            sh("iptables", "-w", "30", *(word.format(action) for word in rule))

    def forward(action: str) -> None:
        # As rdeploy does it: others may need it for longer, or begin to while this lasts.
        sh("sh", "-ec", f'{FORWARDING}\n{action}_forwarding "$1"', action, bridge)

    change("-I")
    forward("use")
    try:
        yield
    finally:
        change("-D")
        forward("leave")


@contextlib.contextmanager
def hardware_nodes(
    count: int, network: str = "10.253.77", bridge: str = "rdtnodes"
) -> Iterator[list[Node]]:
    """That many machines on one network, which this machine is on too (with address .1)."""
    made_state = not STATE.exists()
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rdt-nodes-"))
    tag = f"rdt{os.getpid() % 10000}"
    nodes = []
    try:
        keygen(folder / "key")
        sh("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
        sh("ip", "addr", "add", f"{network}.1/24", "dev", bridge)
        sh("ip", "link", "set", bridge, "up")
        for number in range(count):
            node = Node(f"{tag}n{number}", f"{network}.{11 + number}", folder / f"n{number}",
                        folder / "key")
            nodes.append(node)
            sh("ip", "netns", "add", node.name)
            sh("ip", "link", "add", f"{tag}v{number}", "type", "veth",
               "peer", "name", "eth0", "netns", node.name)
            sh("ip", "link", "set", f"{tag}v{number}", "master", bridge, "up")
            inside = ("ip", "-n", node.name)
            sh(*inside, "link", "set", "lo", "up")
            sh(*inside, "addr", "add", f"{node.address}/24", "dev", "eth0")
            sh(*inside, "link", "set", "eth0", "up")
            sh(*inside, "route", "add", "default", "via", f"{network}.1")
            node.start()
        yield nodes
    finally:
        for number, node in enumerate(nodes):
            node.stop()
            sh("ip", "link", "del", f"{tag}v{number}", check=False)
            sh("ip", "netns", "del", node.name, check=False)
        sh("ip", "link", "del", bridge, check=False)
        shutil.rmtree(folder, ignore_errors=True)
        if made_state:
            with contextlib.suppress(OSError):
                STATE.rmdir()
