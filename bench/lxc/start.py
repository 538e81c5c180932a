"""N containers until each answers over SSH: LxcProvider beside the bare commands in parallel.

``python -m bench.lxc.start [N] [ROUNDS]`` as root. Both make clones of the same base container on
a network of their own, start them and log in to each; what is measured ends with the last login.
The rounds alternate, and the best of each side counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.functional import lxc_rig

LIMIT = 1.15

_BARE = r"""
set -e
base=$1 count=$2 key=$3
bridge=rdtbench net=10.191.7
ip link add $bridge type bridge forward_delay 0
ip addr add $net.1/24 dev $bridge
ip link set $bridge up
was=$(cat /proc/sys/net/ipv4/ip_forward)
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -w -t nat -A POSTROUTING -s $net.0/24 ! -d $net.0/24 -j MASQUERADE
dnsmasq --conf-file=/dev/null --pid-file=/run/rdt-bench.pid --bind-interfaces \
    --interface=$bridge --except-interface=lo --listen-address=$net.1
one() {
    n=rdt-bench-$1 address=$net.$((1 + $1))
    lxc-copy -n $base -N $n -s -B overlayfs >/dev/null
    sed -i '/^lxc.net\./d;/^lxc.apparmor/d' /var/lib/lxc/$n/config
    cat >>/var/lib/lxc/$n/config <<END
lxc.apparmor.profile = unconfined
lxc.net.0.type = veth
lxc.net.0.link = $bridge
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $address/24
lxc.net.0.ipv4.gateway = $net.1
END
    files=/var/lib/lxc/$n/overlay/delta
    mkdir -p $files/etc/ssh $files/etc/network $files/root/.ssh
    chmod 700 $files/root $files/root/.ssh
    cp $key.pub $files/root/.ssh/authorized_keys
    ssh-keygen -q -t ed25519 -N '' -f $files/etc/ssh/ssh_host_ed25519_key
    ssh-keygen -q -t ecdsa -N '' -f $files/etc/ssh/ssh_host_ecdsa_key
    printf 'auto lo\niface lo inet loopback\n' >$files/etc/network/interfaces
    lxc-start -d -n $n
    until ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=QUIET -o BatchMode=yes -o ConnectTimeout=2 root@$address true
    do sleep 0.2; done
}
for i in $(seq $count); do one $i & pids="$pids $!"; done
for pid in $pids; do wait $pid; done
echo $was >/proc/sys/net/ipv4/ip_forward
"""

_BARE_END = r"""
for dir in /var/lib/lxc/rdt-bench-*; do
    [ -d "$dir" ] || continue
    (lxc-stop -k -n ${dir##*/}; lxc-destroy -n ${dir##*/}) >/dev/null 2>&1 &
done
wait
[ ! -e /run/rdt-bench.pid ] || kill $(cat /run/rdt-bench.pid)
rm -f /run/rdt-bench.pid
iptables -w -t nat -D POSTROUTING -s 10.191.7.0/24 ! -d 10.191.7.0/24 -j MASQUERADE 2>/dev/null
ip link del rdtbench 2>/dev/null
:
"""


def bare(base: str, count: int, folder: Path) -> float:
    """Seconds for the shell commands that a person would type, all containers in parallel."""
    key = folder / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    try:
        begin = time.monotonic()
        subprocess.run(["sh", "-c", _BARE, "bare", base, str(count), str(key)], check=True)
        return time.monotonic() - begin
    finally:
        subprocess.run(["sh", "-c", _BARE_END], check=True)


def ours(count: int, folder: Path) -> float:
    """Seconds for LxcProvider, with its ledger, events and checks."""
    with lxc_rig.deployer(folder / "store") as rig:
        entity = lxc_rig.deployment(rig, containers_per_host=count)
        try:
            begin = time.monotonic()
            servers = lxc_rig.provider(entity).create_servers()
            assert len(servers) == count
            return time.monotonic() - begin
        finally:
            lxc_rig.provider(entity).destroy_servers()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    base = lxc_rig.make_base()
    seen: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="rdt-bench-") as name:
        folder = Path(name)
        os.environ["RDEPLOY_HOME"] = str(folder / "home")
        for _ in range(rounds):
            seen["bare"].append(bare(base, count, folder))
            seen["ours"].append(ours(count, folder))
    best = {side: min(values) for side, values in seen.items()}
    for side, values in seen.items():
        print(f"{side}: " + " ".join(f"{value:.2f} s" for value in values))
    ratio = best["ours"] / best["bare"]
    print(f"{count} containers: ours {best['ours']:.2f} s, bare {best['bare']:.2f} s, "
          f"ratio {ratio:.2f} (limit {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
