"""What outlives DevStack's services and is no file, found by the names that they give."""

from __future__ import annotations

from collections.abc import Sequence

from rally_deploy.engines.devstack.node import DEST
from rally_deploy.ssh.base import Shell

# A line is kind:name. Nova, Neutron and Cinder choose these names; the default network of libvirt
# comes with its package. $1: the folders that DevStack has besides its own.
_NAMED = r"""
folders="DEST $1"
named() {
    ip netns list 2>/dev/null |
        sed -nE 's/^((qrouter|qdhcp|snat|fip|ovnmeta)-[0-9a-f-]{36}).*/netns:\1/p'
    ip -o link 2>/dev/null | sed -nE -e 's/^[0-9]+: (br-int|br-tun|br-ex|virbr0)[@:].*/link:\1/p' \
        -e 's/^[0-9]+: ((qbr|qvb|qvo|qr-|qg-|tap)[0-9a-f]{8}-[0-9a-f]{2})[@:].*/link:\1/p'
    virsh -q list --all --name 2>/dev/null | sed -nE 's/^(instance-[0-9a-f]{8}) *$/domain:\1/p'
    for folder in $folders; do
        awk -v top="$folder/" 'index($2, top) == 1 {print "mount:" $2}' /proc/mounts
    done | sort -ru
    losetup -n -O NAME,BACK-FILE 2>/dev/null |
        awk '$2 ~ "/stack-volumes-[^/]*-backing-file$" {print "loop:" $1}'
}
""".replace("DEST", DEST)

_REMOVE = _NAMED + r"""
before=" $2 "
new() { named | while read -r made; do
    case $before in *" $made "*) ;; *) echo "$made" ;; esac
done; }
drop() {
    case $1 in
    domain) virsh -q destroy "$2" || :
        virsh -q undefine --managed-save --snapshots-metadata --nvram "$2" ;;
    netns) ip netns pids "$2" | xargs -r kill -KILL || :
        ip netns delete "$2" ;;
    link) if [ "$2" = virbr0 ]; then virsh -q net-destroy default || :; fi
        ovs-vsctl --timeout=10 --if-exists del-br "$2" || :
        ip link delete "$2" ;;
    mount) umount "$2" ;;
    loop) for group in $(pvs --noheadings -o vg_name "$2"); do vgremove -f -q "$group"; done
        losetup -d "$2" ;;
    esac
}
for kind in domain netns link mount loop; do
    for made in $(new | grep "^$kind:" || :); do
        drop "$kind" "${made#*:}" >/dev/null 2>&1 </dev/null || :
    done
done
new
"""


def names(shell: Shell, folders: Sequence[str] = ()) -> list[str]:
    """Those that are there."""
    return shell.script(f"{_NAMED}\nnamed", " ".join(folders), quiet=True).stdout.split()


def remove(shell: Shell, before: Sequence[str], folders: Sequence[str] = ()) -> list[str]:
    """Remove all but those that were there before us; returns what cannot be removed."""
    done = shell.script(
        _REMOVE, " ".join(folders), " ".join(before), timeout_s=300, quiet=True, check=False)
    return done.stdout.split()
