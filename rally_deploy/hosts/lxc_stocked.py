"""Base containers that have what an engine will install: copies of a plain one, with the packages.

Each is complete when its description lies beside it, as a plain base is, and is made and removed
under the same lock. What it saves is time: whoever cannot have one takes the plain base.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rally_deploy.hosts.lxc_anew import TAKE_OUT
from rally_deploy.hosts.lxc_base import BaseImage, run_build, today
from rally_deploy.hosts.lxc_base_scripts import COMPLETE, HOLD, IMAGE_LOCK
from rally_deploy.hosts.lxc_scripts import REMOVE_TREE
from rally_deploy.hosts.packages import INSTALL_IN_ROOT
from rally_deploy.ssh.base import Shell

#: Raised when what is done with the packages changes.
_FORMAT = 1

BUILD_TIMEOUT_S = 1800.0

#: So much must be free on the host's disk at the beginning: a whole OpenStack takes 2 GB.
FREE_MB = 4000

#: STOCK name base facts free-megabytes install packages...
STOCK = f"""
{REMOVE_TREE}
umask 022
name=$1 base=$2 facts=$3 least=$4 install=$5; shift 5
dir=$path/$name root=$path/$name/rootfs
{IMAGE_LOCK}
{HOLD}
remove_container "$name"
if [ ! -e "$path/$base/rdeploy-image.json" ]; then echo "$base is not there" >&2; return 1; fi
free=$(df -Pm "$path" | awk 'NR == 2 {{print $4}}')
if [ "$free" -lt "$least" ]; then
    echo "$free MB are free in $path, $least MB are needed" >&2; return 1
fi
mkdir -m 770 "$dir"
sed "s,$path/$base/,$dir/,; s,^lxc.uts.name.*,lxc.uts.name = $name," "$path/$base/config" \\
    >"$dir/config"
if grep -q '^lxc.rootfs.path *= *btrfs:' "$dir/config"; then
    btrfs subvolume snapshot "$path/$base/rootfs" "$root" >/dev/null
else
    cp -a --reflink=auto "$path/$base/rootfs" "$root"
fi
# What is started at boot, and other names of units, for which systemctl takes a unit for enabled.
# A timer is no service: logs are to be rotated.
started() {{
    (cd "$root/etc" && find . -type l '(' -path './systemd/system/*' -o -path './rc?.d/*' ')' \\
        ! -lname /dev/null ! -path '*/timers.target.wants/*' | sort)
}}
started >"$dir/started"
export root install
# With mounts and processes of its own, nothing can be left behind, whatever is killed.
unshare -m -p -f --kill-child sh -ec '
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    # Python compiles in several processes.
    if [ -d "$root/dev/shm" ]; then mount -t tmpfs tmpfs "$root/dev/shm"; fi
    cd /
    # The first process stays outside: otherwise systemctl does not see that it is in a chroot.
    chroot "$root" /usr/bin/env -i HOME=/root SYSTEMD_OFFLINE=1 \\
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
        sh -ec "$install" install "$@"
    exit 0
' stock "$@"
# Whoever wants one of their services starts and enables it.
started | comm -13 "$dir/started" - | (cd "$root/etc" && xargs -r -d '\\n' rm -f --)
rm -rf "$dir/started" "$root"/var/cache/apt/archives/*.deb
rmdir "$root/var/lib/rdeploy" 2>/dev/null || :
{TAKE_OUT}
{COMPLETE}"""

# Nothing is said of a system without apt-get: nobody knows its packages' names.
_RELEASE = """
root=$(lxc-config lxc.lxcpath)/$1/rootfs
[ -x "$root/usr/bin/apt-get" ] || return 0
. "$root/etc/os-release"
echo "$ID ${VERSION_ID:-}"
"""


@dataclass(frozen=True)
class StockedImage:
    """A plain base and what comes into it; its name follows from both."""

    plain: BaseImage
    engine: str  # for which it is made, as ``rdeploy images`` shows it
    packages: Sequence[str]

    @property
    def name(self) -> str:
        text = json.dumps([_FORMAT, self.plain.name, sorted(self.packages)])
        return "rd-base-" + hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def facts(self) -> dict[str, object]:
        return {**asdict(self.plain), "packages": sorted(self.packages), "of": self.plain.name,
                "for": self.engine, "made": today()}


def release_of(shell: Shell, base: str) -> str:
    """ID and VERSION_ID of a base's system (``debian 12``); empty if that has no apt-get."""
    return shell.script(_RELEASE, base, quiet=True).stdout.strip()


def build(shell: Shell, job: str, image: StockedImage) -> None:
    """Make it if it is not there yet, detached under the job's name; follow it to its end.

    Whoever comes while it is being made waits for it. Raises HostError with what was said last.
    """
    run_build(
        shell, job, STOCK,
        [image.name, image.plain.name, json.dumps(image.facts), str(FREE_MB), INSTALL_IN_ROOT,
         *image.packages],
        BUILD_TIMEOUT_S,
        f"the base container with the packages of {image.engine} could not be made")
