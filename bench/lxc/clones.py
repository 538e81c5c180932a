"""N cloned nodes, from the first one's end until all are up: LxcEngine and the bare commands.

``python -m bench.lxc.clones [N ...] [--rounds R]`` as root: with an inner engine whose cloud is
one file and one service. With a real one::

    python -m bench.lxc.clones 4 8 16 32 --controller CONTROLLER.json --engine COMPUTE.json
    RDEPLOY_DEVSTACK_REPOS=FOLDER python -m bench.lxc.clones 4 8 16 32 --devstack

CONTROLLER.json is an engine's block (DevstackEngine, DistroEngine ...), COMPUTE.json the inner
engine's, with ``{controller_ip}`` and the like; ``--devstack`` takes those of the real DevStack's
tests. Then "up" means that the controller has admitted all of them. Both sides begin with a
deployed container that runs, stop it, and end with N containers in which one can log in and all
services run. Rounds alternate, the best of each side counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rally_deploy.config import substitute
from rally_deploy.deployer import Deployer
from rally_deploy.deployment import Deployment
from rally_deploy.engines.multihost import handed
from rally_deploy.hosts.lxc_seed import FOLDER
from rally_deploy.model import State
from rally_deploy.testing.contract import TestRegistry, open_deployment, open_store
from tests.functional import devstack_repos, lxc_rig, test_devstack_many
from tests.functional.clone_rig import FileNode
from tests.functional.test_devstack_real import empty_image

LIMIT = 1.15

_LXC = Path("/var/lib/lxc")
_FIRST = "rdt-bench-first"
_CLONE = "rdt-bench-c"
_NETWORK = "10.191.8"

# A copy of a deployed container as a plain one, which runs.
_PREPARE = r"""
set -e
source=$1 key=$2 folder=$3 first=$4 net=$5
mkdir -p /var/lib/lxc/$first
unshare -m sh -ec '
    mkdir -p /run/rdt-bench
    mount -t overlay -o "lowerdir=$1/overlay/delta:$1/rootfs" overlay /run/rdt-bench
    cp -a /run/rdt-bench "$2/rootfs"' sh /var/lib/lxc/$source /var/lib/lxc/$first
rmdir /run/rdt-bench
grep -v -E '^lxc\.(net\.|uts|rootfs\.path|hook\.mount)' /var/lib/lxc/$source/config \
    >/var/lib/lxc/$first/config
root=/var/lib/lxc/$first/rootfs
cp $key.pub $root/root/.ssh/authorized_keys
cat >>/var/lib/lxc/$first/config <<END
lxc.rootfs.path = dir:$root
lxc.uts.name = $first
lxc.net.0.type = veth
lxc.net.0.link = rdtbench
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $net.2/24
lxc.net.0.ipv4.gateway = $net.1
END
echo $first >$root/etc/hostname
sed -i "s/$source/$first/" $root/etc/hosts
ip link add rdtbench type bridge forward_delay 0
ip addr add $net.1/24 dev rdtbench
ip link set rdtbench up
cat /proc/sys/net/ipv4/ip_forward >$folder/forward
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -w -t nat -A POSTROUTING -s $net.0/24 ! -d $net.0/24 -j MASQUERADE
iptables -w -I FORWARD -s $net.0/24 -j ACCEPT
iptables -w -I FORWARD -d $net.0/24 -j ACCEPT
lxc-start -d -n $first
until ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=QUIET -o BatchMode=yes -o ConnectTimeout=2 root@$net.2 true
do sleep 0.2; done
"""

_BARE = r"""
set -e
count=$1 key=$2 first=$3 clone=$4 net=$5 folder=$6
lxc-stop -n $first -t 120
one() {
    n=$clone-$1 address=$net.$((2 + $1))
    lxc-copy -n $first -N $n -s -B overlayfs >/dev/null
    sed -i '/^lxc.net\./d' /var/lib/lxc/$n/config
    cat >>/var/lib/lxc/$n/config <<END
lxc.net.0.type = veth
lxc.net.0.link = rdtbench
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $address/24
lxc.net.0.ipv4.gateway = $net.1
END
    files=/var/lib/lxc/$n/overlay/delta
    mkdir -p $files/etc/ssh
    printf '127.0.0.1 localhost\n%s %s\n' $address $n >$files/etc/hosts
    tr -d - </proc/sys/kernel/random/uuid >$files/etc/machine-id
    ssh-keygen -q -t ed25519 -N '' -f $files/etc/ssh/ssh_host_ed25519_key
    ssh-keygen -q -t ecdsa -N '' -f $files/etc/ssh/ssh_host_ecdsa_key
    lxc-start -d -n $n
    until ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=QUIET -o BatchMode=yes -o ConnectTimeout=2 root@$address \
        "until systemctl -q is-active \$(cat $folder/services); do sleep 0.5; done"
    do sleep 0.2; done
}
for i in $(seq $count); do one $i & pids="$pids $!"; done
for pid in $pids; do wait $pid; done
"""

_END_CLONES = r"""
for dir in /var/lib/lxc/$1-*; do
    [ -d "$dir" ] || continue
    (lxc-stop -k -n ${dir##*/}; lxc-destroy -n ${dir##*/}) >/dev/null 2>&1 &
done
wait
rm -f /var/lib/lxc/$2/lxc_snapshots
[ ! -d /var/lib/lxc/$2 ] || lxc-start -d -n $2 2>/dev/null || :
"""

_END = r"""
for n in $(lxc-ls -1 | grep -E "^($1[0-9]+-|$2)"); do
    lxc-stop -k -n $n; rm -f /var/lib/lxc/$2/lxc_snapshots; lxc-destroy -n $n
done >/dev/null 2>&1
rm -rf /var/lib/lxc/$2
[ ! -e $4/forward ] || cat $4/forward >/proc/sys/net/ipv4/ip_forward
iptables -w -t nat -D POSTROUTING -s $3.0/24 ! -d $3.0/24 -j MASQUERADE 2>/dev/null
iptables -w -D FORWARD -s $3.0/24 -j ACCEPT 2>/dev/null
iptables -w -D FORWARD -d $3.0/24 -j ACCEPT 2>/dev/null
ip link del rdtbench 2>/dev/null
:
"""


class Watch:
    """Keeps when a first container was deployed, and what was told of memory."""

    def __init__(self) -> None:
        self.first_at = 0.0
        self.memory = ""

    def event(self, event: Any) -> None:
        if event.title == "deploy the first container" and str(event.kind) == "step-done":
            self.first_at = time.monotonic()
        found = re.match(r"memory per node: (.*);", event.title)
        if found:
            self.memory = found.group(1)

    def output(self, output: Any) -> None:
        pass


class Bench:
    """One tree of deployments: a controller, or none, and nodes beside it."""

    def __init__(
        self, top: Deployment, watch: Watch, engine: dict[str, Any],
        controller: dict[str, Any] | None,
    ) -> None:
        self._top, self._watch, self._engine = top, watch, engine
        self._names = itertools.count()
        self._controller: Deployment | None = None
        self._values: dict[str, str] = {}
        if controller:
            self._controller = top.child("controller", controller)
            self._controller.deploy()
            self._values = handed.values_of(self._controller)

    def nodes(self, count: int) -> Deployment:
        """That many, deployed and admitted."""
        block = {
            "type": "LxcEngine", "containers_per_host": count, "distribution": "debian",
            "release": "bookworm", "engine": self._engine,
            "provider": {"type": "GivenHosts", "hosts": [lxc_rig.LOCAL]},
        }
        node = self._top.child(
            f"nodes-{next(self._names)}", substitute(block, self._values), self._values)
        node.deploy()
        self.admit(node.engine().compute_hosts())
        return node

    def admit(self, hosts: list[str]) -> None:
        if self._controller and hosts:
            self._controller.engine().admit(hosts)

    def ours(self, count: int) -> float:
        node = self.nodes(count)
        taken = time.monotonic() - self._watch.first_at
        node.engine().settled()  # tells the memory
        node.destroy()
        return taken


class Bare:
    """The same by hand, with a copy of a deployed container as the first one."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench, self._folder, self._key = bench, folder, folder / "key"
        self._hosts: list[str] = []
        self._runs = itertools.count()

    @contextmanager
    def prepared(self) -> Iterator[Bare]:
        source = self._bench.nodes(1)
        try:
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
            name = source.servers()[0].name
            self._hosts = [h.replace(name, "NAME") for h in source.engine().compute_hosts()]
            self._run(_PREPARE, name, self._key, self._folder, _FIRST, _NETWORK)
            yield self
        finally:
            self._run(_END, _CLONE, _FIRST, _NETWORK, self._folder)
            source.destroy()

    def run(self, count: int) -> float:
        # Nova does not take a compute that has another one's name.
        clone = f"{_CLONE}{next(self._runs)}"
        try:
            begin = time.monotonic()
            self._run(_BARE, count, self._key, _FIRST, clone, _NETWORK, FOLDER)
            names = [f"{clone}-{n}" for n in range(1, count + 1)]
            self._bench.admit([h.replace("NAME", n) for n in names for h in self._hosts])
            return time.monotonic() - begin
        finally:
            self._run(_END_CLONES, clone, _FIRST)

    @staticmethod
    def _run(script: str, *words: object) -> None:
        subprocess.run(["sh", "-c", script, "bare", *map(str, words)], check=True)


@contextmanager
def blocks(
    folder: Path, arguments: argparse.Namespace
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The inner engine's and the controller's."""
    if arguments.devstack:
        with devstack_repos.Served(devstack_repos.mirror()) as git_base:
            print(f"DevStack {devstack_repos.BRANCH} {devstack_repos.commit()}", flush=True)
            tree = test_devstack_many.config(
                git_base, empty_image(folder), test_devstack_many.HERE, test_devstack_many.HERE)
            yield tree["nodes"][0]["engine"], tree["controller"]
        return
    files = (arguments.engine, arguments.controller)
    engine, controller = (file and json.loads(file.read_text()) for file in files)
    yield engine or {"type": "FileNode"}, controller


@contextmanager
def bench_in(
    folder: Path, watch: Watch, engine: dict[str, Any], controller: dict[str, Any] | None
) -> Iterator[Bench]:
    registry = TestRegistry(FileNode, lxc_rig.GivenHosts, lxc_rig.ServersOnly)
    with Deployer(open_store(folder), registry, watcher=watch) as deployer:
        world = str(folder / "world")
        top = open_deployment(deployer, {
            "type": "FakeEngine", "world": world,
            "provider": {"type": "FakeProvider", "world": world},
        })
        top.move(State.PROVISIONING)
        try:
            yield Bench(top, watch, engine, controller)
        finally:
            top.destroy()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", type=int, nargs="*", default=[4, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--controller", type=Path)
    parser.add_argument("--engine", type=Path)
    parser.add_argument("--devstack", action="store_true")
    arguments = parser.parse_args()
    if arguments.devstack and not devstack_repos.found():
        parser.error("RDEPLOY_DEVSTACK_REPOS names no folder with bare repositories")
    lxc_rig.make_base()
    watch, worst = Watch(), 0.0
    with tempfile.TemporaryDirectory(prefix="rdt-bench-") as name:
        os.environ["RDEPLOY_HOME"] = f"{name}/home"
        folder = Path(name)
        with blocks(folder, arguments) as (engine, controller), \
                bench_in(folder, watch, engine, controller) as bench, \
                Bare(bench, folder).prepared() as bare:
            for count in arguments.counts:
                seen: dict[str, list[float]] = {"bare": [], "ours": []}
                for _ in range(arguments.rounds):
                    seen["bare"].append(bare.run(count))
                    seen["ours"].append(bench.ours(count))
                best = {side: min(values) for side, values in seen.items()}
                ratio = best["ours"] / best["bare"]
                worst = max(worst, ratio)
                print(f"{count} nodes: ours {best['ours']:.2f} s, bare {best['bare']:.2f} s, "
                      f"ratio {ratio:.2f} (limit {LIMIT}); per node {watch.memory}", flush=True)
                for side, values in seen.items():
                    print(f"    {side}: " + " ".join(f"{value:.2f}" for value in values))
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
