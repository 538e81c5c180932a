"""A DevStack node: ``rdeploy create`` beside stack.sh run by hand in the same kind of container.

``python -m bench.devstack.run [ROUNDS]`` as root, with RDEPLOY_DEVSTACK_REPOS. Both begin with a
clone of the same base container, which has what DevstackEngine tells beforehand, and the same
local.conf, and end with a stacked node; ours also proves it. By hand that is: the container, the
packages and the account, what a container needs, the clone, and stack.sh. The sides take turns,
and the best of each counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rally_deploy.engines.devstack import DevstackEngine
from tests.functional import devstack_repos, lxc_rig
from tests.functional.test_devstack_real import config, empty_image

LIMIT = 1.03

NAME, BRIDGE, NET = "rdt-bench-devstack", "rdtbdev", "10.191.9"

_MAKE = rf"""
set -e
name=$1 base=$2
ip link add {BRIDGE} type bridge forward_delay 0
ip addr add {NET}.1/24 dev {BRIDGE}
ip link set {BRIDGE} up
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -w -t nat -A POSTROUTING -s {NET}.0/24 ! -d {NET}.0/24 -j MASQUERADE
lxc-copy -n $base -N $name -s -B overlayfs >/dev/null
sed -i '/^lxc.net\./d;/^lxc.apparmor/d' /var/lib/lxc/$name/config
cat >>/var/lib/lxc/$name/config <<END
lxc.apparmor.profile = unconfined
lxc.uts.name = $name
lxc.net.0.type = veth
lxc.net.0.link = {BRIDGE}
lxc.net.0.flags = up
lxc.net.0.ipv4.address = {NET}.2/24
lxc.net.0.ipv4.gateway = {NET}.1
lxc.mount.entry = tmpfs sys/kernel/mm tmpfs ro,nosuid,nodev,noexec,size=4k 0 0
END
files=/var/lib/lxc/$name/overlay/delta
mkdir -p $files/etc/network
printf 'auto lo\niface lo inet loopback\n' >$files/etc/network/interfaces
cp /etc/resolv.conf $files/etc/resolv.conf
printf '127.0.0.1 localhost\n{NET}.2 %s\n' $name >$files/etc/hosts
echo $name >$files/etc/hostname
lxc-start -d -n $name
until lxc-attach -n $name -- systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'
do sleep 0.2; done
"""

_STACK = """
set -e
git_base=$1 branch=$2
cat >/root/local.conf
exec </dev/null
export DEBIAN_FRONTEND=noninteractive
apt-get -y -q update
apt-get -y -q --no-install-recommends install git sudo ca-certificates locales lsb-release
mkdir -p /etc/systemd/system/iscsid.service.d /etc/systemd/system/devstack@.service.d
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nPIDFile=\\nExecStart=\\n' \\
    >/etc/systemd/system/iscsid.service.d/x.conf
echo 'ExecStart=/bin/true' >>/etc/systemd/system/iscsid.service.d/x.conf
printf '[Service]\\nTimeoutStopSec=10\\nKillMode=mixed\\n' \\
    >/etc/systemd/system/devstack@.service.d/x.conf
mkdir -p /etc/rabbitmq
echo NODENAME=rabbit@localhost >/etc/rabbitmq/rabbitmq-env.conf
localedef -i en_US -f UTF-8 en_US.UTF-8
useradd -s /bin/bash -d /opt/stack -m stack
chmod 755 /opt/stack
echo 'stack ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/50_stack_sh
runuser -u stack -- git clone -q --branch $branch $git_base/openstack/devstack.git \\
    /opt/stack/devstack
truncate -s 1M /opt/stack/devstack/files/empty.img
cp /root/local.conf /opt/stack/devstack/
chown -R stack: /opt/stack/devstack
cd /opt/stack/devstack
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/opt/stack \\
    USER=stack LOGNAME=stack runuser -u stack -- ./stack.sh </dev/null >/root/stack.log 2>&1
"""

_REMOVE = rf"""
lxc-stop -k -n {NAME} 2>/dev/null
lxc-destroy -n {NAME} 2>/dev/null
iptables -w -t nat -D POSTROUTING -s {NET}.0/24 ! -d {NET}.0/24 -j MASQUERADE 2>/dev/null
ip link del {BRIDGE} 2>/dev/null
:
"""


def by_hand(base: str, git_base: str, localrc: dict[str, object]) -> float:
    """Seconds from nothing to the end of stack.sh."""
    lines = ["[[local|localrc]]", f"GIT_BASE={git_base}", "LOGFILE=$DEST/logs/stack.sh.log",
             f"HOST_IP={NET}.2", "RECLONE=yes", "SYSLOG=False", "LOG_COLOR=False"]
    lines += [f"{what}_PASSWORD=benchmark{what.lower()}"
              for what in ("ADMIN", "DATABASE", "RABBIT", "SERVICE")]
    lines += [f"{key}={value}" for key, value in localrc.items()]
    subprocess.run(["sh", "-c", _REMOVE], check=False)
    start = time.monotonic()
    try:
        subprocess.run(["sh", "-c", _MAKE, "make", NAME, base], check=True)
        subprocess.run(
            ["lxc-attach", "--clear-env", "-n", NAME, "--", "bash", "-c", _STACK, "stack",
             git_base, devstack_repos.BRANCH],
            input="\n".join(lines) + "\n", text=True, check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        return time.monotonic() - start
    finally:
        subprocess.run(["sh", "-c", _REMOVE], check=False)


def by_rdeploy(folder: Path, tree: dict[str, object]) -> tuple[float, float]:
    """Seconds of ``rdeploy create``, and of the proof in it."""
    environ = {**os.environ, "RDEPLOY_HOME": str(folder / "home")}
    file = folder / "node.json"
    file.write_text(json.dumps(tree))
    command = [sys.executable, "-m", "rally_deploy"]
    start = time.monotonic()
    try:
        subprocess.run([*command, "create", "--name", "node", "--file", str(file)],
                       env=environ, check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - start
        shown = subprocess.run([*command, "events", "node", "--json"], env=environ, check=True,
                               capture_output=True, text=True).stdout
        events = [json.loads(line) for line in shown.splitlines()]
        proof = next(e["elapsed_s"] for e in events
                     if e["kind"] == "step-done" and e["title"] == "prove that the cloud works")
        return took, proof
    finally:
        subprocess.run([*command, "destroy", "node", "--yes"], env=environ, check=False,
                       stdout=subprocess.DEVNULL)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    if not devstack_repos.found():
        print("RDEPLOY_DEVSTACK_REPOS names no folder with bare repositories", file=sys.stderr)
        return 2
    ours, bare = [], []
    base = lxc_rig.make_stocked_base(DevstackEngine)
    with devstack_repos.Served(devstack_repos.mirror()) as git_base:
        print(f"DevStack {devstack_repos.BRANCH} {devstack_repos.commit()}", flush=True)
        for turn in range(2 * rounds):
            with tempfile.TemporaryDirectory() as folder:
                tree = config(git_base, empty_image(folder))
                # Hand, rdeploy, rdeploy, hand: neither is always the one with the cold caches.
                if turn % 4 in (0, 3):
                    bare.append(by_hand(base, git_base, tree["local_conf"]))
                    print(f"by hand  {bare[-1]:7.1f} s", flush=True)
                else:
                    took, proof = by_rdeploy(Path(folder), tree)
                    ours.append(took)
                    print(f"rdeploy  {took:7.1f} s, of them {proof:.1f} s the proof", flush=True)
    ratio = min(ours) / min(bare)
    print(f"rdeploy create / by hand: {ratio:.3f} (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
