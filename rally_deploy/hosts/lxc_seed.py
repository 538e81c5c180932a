"""A container that others are cloned from, and what makes each of the clones a node of its own.

The seed is stopped, and where overlays can lie over its files, these are not written any more: it
runs on an overlay itself from then on. In the seed, and so in every clone, lies a program that LXC
runs before the container's init at each start; if it fails, the container does not start, so that
no clone ever speaks with the name of the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rally_deploy.errors import CommandFailed, HostError
from rally_deploy.hosts.files import File, put_all
from rally_deploy.hosts.lxc_scripts import CONTAINER_LOCK, REMOVE_TREE
from rally_deploy.ssh.base import STATE_DIR, Shell

#: In the containers.
FOLDER = f"{STATE_DIR}/clone"

OVERLAY = "overlay"

_SERVICES_TIMEOUT_S = 600

# The name and address that the files were made for last; old and new are equal but for the first
# start of a clone (or for later ones, if that one was cut off).
_RUN = f"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
cd {FOLDER} || exit 1
exec >log 2>&1 </dev/null
read -r old_name old_address <made-for || exit 1
name=$(cat /proc/sys/kernel/hostname)
address=$(ip -4 -o addr show dev eth0 | awk '{{sub("/.*", "", $4); print $4; exit}}')
if [ -z "$name" ] || [ -z "$address" ]; then echo "no address on eth0"; exit 1; fi
./script "$old_name" "$name" "$old_address" "$address" || exit
if [ "$old_name $old_address" != "$name $address" ]; then
    echo "$name $address" >made-for.new && sync made-for.new && mv made-for.new made-for
fi
"""

# What runs and is started at each boot: it will run in a clone, too.
_LIST_SERVICES = """
mkdir -p "${1%/*}"
command -v systemctl >/dev/null || return 0
running=$(systemctl list-units --plain --no-legend --type=service --state=running |
    awk '{print $1}')
for unit in $(systemctl list-dependencies --plain --no-pager multi-user.target | sort -u); do
    if printf '%s\\n' "$running" | grep -qxF -- "$unit"; then echo "$unit"; fi
done >"$1"
"""

_WAIT_FOR_SERVICES = """
units=$(cat "$2" 2>/dev/null) || return 0
[ -n "$units" ] || return 0
end=$(($(date +%s) + $1))
while :; do
    left=
    set -- $units
    for state in $(systemctl is-active $units 2>/dev/null || :); do
        case $state in
            active) ;;
            failed)
                systemctl status --no-pager -n 8 "$1" >&2 || :
                echo "$1 failed" >&2; exit 70 ;;
            *) left="$left $1" ;;
        esac
        shift
    done
    if [ -z "$left" ] && [ $# -eq 0 ]; then return 0; fi
    if [ "$(date +%s)" -ge "$end" ]; then echo "not up:$left" >&2; exit 71; fi
    sleep 0.5
done
"""

#: FREEZE name folder: prints how clones can be made.
_FREEZE = f"""
{REMOVE_TREE}
{CONTAINER_LOCK}
dir=$path/$1 folder=$2
if [ "$(lxc-info -n "$1" -sH)" != STOPPED ]; then echo "$1 runs" >&2; exit 1; fi
kind=$(sed -n 's/^lxc.rootfs.path *= *\\([a-z]*\\):.*/\\1/p' "$dir/config")
how=copy
case $kind in
    overlay) how=overlay ;;
    btrfs|zfs|lvm) how=snapshot ;;
    dir)
        remove_tree "$dir/overlay"
        mkdir -p "$dir/overlay/delta" "$dir/overlay/work" "$dir/overlay/whole"
        chown --reference="$dir/rootfs" "$dir/overlay/delta"
        chmod --reference="$dir/rootfs" "$dir/overlay/delta"
        layers=lowerdir=$dir/rootfs,upperdir=$dir/overlay/delta,workdir=$dir/overlay/work
        if grep -qw overlay /proc/filesystems &&
            unshare -m mount -t overlay -o "$layers" overlay "$dir/overlay/whole"
        then how=overlay; else remove_tree "$dir/overlay"; fi ;;
esac
own="lxc.rootfs.path = overlay:$dir/rootfs:$dir/overlay/delta"
{{
    if [ "$how.$kind" = overlay.dir ]; then
        rmdir "$dir/overlay/whole"
        sed "s,^lxc.rootfs.path.*,$own," "$dir/config"
    else
        cat "$dir/config"
    fi | grep -v '^lxc.hook.start '
    if [ -n "$folder" ]; then echo "lxc.hook.start = $folder/run"; fi
}} >"$dir/config.new"
mv "$dir/config.new" "$dir/config"
sync -f "$dir"
echo "seed $how"
"""

# Control groups of version 1 count what is below as total_rss, those of version 2 as anon.
_MEMORY = """
for name in "$@"; do
    for top in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        file=$top/lxc.payload.$name/memory.stat
        if [ -r "$file" ]; then cat "$file"; continue 2; fi
    done
    lxc-cgroup -n "$name" memory.stat 2>/dev/null || :
done | awk '$1 == "total_rss" || $1 == "anon" {print "anonymous", $2}'
awk '$1 == "MemAvailable:" {print "available", $2 * 1024}' /proc/meminfo
"""


@dataclass(frozen=True)
class Memory:
    """Bytes: what each running container uses for itself, and what the host has left."""

    anonymous: tuple[int, ...]
    available: int


def plant(shell: Shell, script: str, name: str, address: str) -> None:
    """Put into a container what its clones run at each start (nothing if ``script`` is empty).

    :param script: see ``DeployEngine.clone_script``.
    """
    if script:
        text = script if script.startswith("#!") else f"#!/bin/sh -e\n{script}"
        put_all(shell, [
            File(f"{FOLDER}/script", text, 0o700), File(f"{FOLDER}/run", _RUN, 0o700),
            File(f"{FOLDER}/made-for", f"{name} {address}\n"),
        ])
    shell.script(_LIST_SERVICES, f"{FOLDER}/services")


def freeze(shell: Shell, name: str, planted: bool) -> str:
    """Make a stopped container one that can be cloned; return how: overlay, snapshot or copy.

    With ``overlay`` it may run while it is cloned; else it has to be stopped then.
    """
    done = shell.script(_FREEZE, name, FOLDER if planted else "", timeout_s=300)
    return done.stdout.split()[-1]


def wait_for_services(shell: Shell) -> None:
    """Return when all services run that ran in the seed; HostError names one that does not."""
    try:
        shell.script(
            _WAIT_FOR_SERVICES, str(_SERVICES_TIMEOUT_S), f"{FOLDER}/services",
            timeout_s=_SERVICES_TIMEOUT_S + 60, quiet=True,
        )
    except CommandFailed as error:
        if error.status not in (70, 71):
            raise
        what = error.stderr.strip().splitlines()
        raise HostError(
            shell.server, f"a service that ran in the first container does not run: {what[-1]}",
            "\n".join(what[:-1]), "look at it with 'rdeploy ssh', then 'rdeploy resume'",
        ) from error


def measure_memory(shell: Shell, names: Sequence[str] = ()) -> Memory:
    """What these containers use, as their host counts it."""
    found: dict[str, list[int]] = {"anonymous": [], "available": []}
    for line in shell.script(_MEMORY, *names, quiet=True).stdout.splitlines():
        kind, _, number = line.partition(" ")
        found[kind].append(int(float(number)))
    return Memory(tuple(found["anonymous"]), found["available"][0])
