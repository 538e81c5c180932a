"""The shell scripts that make, list and remove base containers on a host."""

from __future__ import annotations

from rally_deploy.hosts.lxc_anew import TAKE_OUT
from rally_deploy.hosts.lxc_scripts import REMOVE_TREE

#: One base at a time on a host. The lock is on LXC's own folder: it leaves no file.
IMAGE_LOCK = 'mkdir -p "$path"; exec 8<"$path"'

_MAKING = "/run/lock/rd-base.making"
#: Take it to make ``$name``, if that is not there; the file tells which one its holder makes.
HOLD = f"""
flock 8
if [ -e "$dir/rdeploy-image.json" ]; then return 0; fi
echo "$name" >{_MAKING}
"""
COMPLETE = f"""
sync -f "$dir/rootfs"
echo "$facts" >"$dir/.facts"
mv "$dir/.facts" "$dir/rdeploy-image.json"
rm -f {_MAKING}
"""

#: BUILD name template facts packages sources settings mirror security-mirror template-arguments
BUILD = f"""
{REMOVE_TREE}
umask 022
name=$1 template=$2 facts=$3 packages=$4 sources=$5 settings=$6 mirror=$7 security=$8; shift 8
dir=$path/$name cache=/var/lib/rdeploy/build-$name
{IMAGE_LOCK}
{HOLD}
remove_container "$name"
remove_tree "$cache"
mkdir -p "$cache"
echo "lxc.apparmor.profile = unconfined" >"$cache/config"
if [ -n "$mirror" ]; then export MIRROR="$mirror"; fi
if [ -n "$security" ]; then export SECURITY_MIRROR="$security"; fi
export LXC_CACHE_PATH="$cache" DEBIAN_FRONTEND=noninteractive
backing=dir
if [ "$(stat -fc %T "$path")" = btrfs ]; then backing=btrfs; fi
lxc-create -n "$name" -f "$cache/config" -B $backing -t "$template" -- "$@"
remove_tree "$cache"
root=$dir/rootfs
rm -f "$root/etc/resolv.conf"; cat /etc/resolv.conf >"$root/etc/resolv.conf"
cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || :
for file in etc/pip.conf root/.config/pip/pip.conf root/.pip/pip.conf; do
    [ -e "/$file" ] || continue
    mkdir -p "$root/${{file%/*}}"
    # A local index of the host is not there in a container.
    grep -v -E 'file:|^find-links' "/$file" >"$root/$file" || :
done
if [ -x "$root/usr/bin/apt-get" ]; then
    if [ -n "$sources" ]; then
        rm -f "$root"/etc/apt/sources.list.d/*
        echo "$sources" >"$root/etc/apt/sources.list"
    fi
    if [ -n "$settings" ]; then echo "$settings" >"$root/etc/apt/apt.conf.d/90host"; fi
    install='apt-get -q update && apt-get -q -y --no-install-recommends
        -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confdef install'
elif [ -x "$root/usr/bin/dnf" ]; then
    install='dnf -y install'
else
    echo "this distribution has neither apt-get nor dnf" >&2; return 1
fi
printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
export root packages install
# The mounts are in a namespace of their own, so that nothing can leave them behind.
unshare -m sh -ec '
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    cd /
    exec chroot "$root" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root \\
        sh -ec "$(echo $install) $packages"
'
rm -f "$root/usr/sbin/policy-rc.d"
if [ -e /etc/ssl/certs/ca-certificates.crt ] && [ -d "$root/etc/ssl/certs" ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
rm -f "$root"/var/cache/apt/archives/*.deb
{TAKE_OUT}
# Nobody has a password: it is keys, or nothing.
sed -i -E 's/^(root|ubuntu|debian):[^:]*:/\\1:*:/' "$root/etc/shadow"
mkdir -p "$root/etc/ssh/sshd_config.d"
printf 'MaxSessions 200\\nMaxStartups 200:30:400\\nUseDNS no\\n' \\
    >"$root/etc/ssh/sshd_config.d/10-rdeploy.conf"
# Timers that would hold the package database just when an engine wants it.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \\
        systemd-networkd-wait-online.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
{COMPLETE}"""

END_BUILD = f"""
command -v lxc-config >/dev/null || return 0
{REMOVE_TREE}
{IMAGE_LOCK}
if ! flock -n 8; then
    [ -e "$path/$1" ] || [ -e "/var/lib/rdeploy/build-$1" ] || return 0
    # Another deployment makes this very base now, and it is that one's to clear away.
    if [ "$(cat {_MAKING} 2>/dev/null)" = "$1" ]; then return 0; fi
    flock -w 3000 8
fi
remove_tree "/var/lib/rdeploy/build-$1"
if [ ! -e "$path/$1/rdeploy-image.json" ]; then remove_container "$1"; fi
rm -f {_MAKING}
"""

LIST_IMAGES = """
command -v lxc-config >/dev/null || return 0
path=$(lxc-config lxc.lxcpath)
for dir in "$path"/rd-base-*; do
    [ -d "$dir" ] || continue
    name=${dir##*/}
    clones=$(grep -lsE "^lxc.rootfs.path *= *overlay(fs)?:$dir/" "$path"/*/config \\
        | sed 's,/config$,,;s,.*/,,' | tr '\\n' ' ' || :)
    facts=$(tr '\\n' ' ' <"$dir/rdeploy-image.json" 2>/dev/null || :)
    printf '%s\\t%s\\t%s\\t%s\\n' "$name" "$(du -sm "$dir" | cut -f1)" "$clones" "$facts"
done
"""

REMOVE_IMAGE = f"""
command -v lxc-config >/dev/null || return 0
{REMOVE_TREE}
{IMAGE_LOCK}
[ -e "$path/$1" ] || return 0
# No clone can begin between the look and the end.
flock 8; exec 6<"$path/$1"; flock 6
clones=$(grep -lsE "^lxc.rootfs.path *= *overlay(fs)?:$path/$1/" "$path"/*/config || :)
if [ -n "$clones" ]; then echo "$clones" >&2; exit 67; fi
rm -f "$path/$1/rdeploy-image.json" "$path/$1/lxc_snapshots"
remove_container "$1"
"""
