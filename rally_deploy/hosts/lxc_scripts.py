"""The shell scripts that make and remove containers on a host.

Each runs on the host as a whole, so that a link that drops, or a process of ours that is killed,
leaves no half of it running against a later removal: all of them take the thing's lock first.
"""

from __future__ import annotations

from rally_deploy.hosts.lxc_anew import MAKE_ANEW

#: ``remove_tree FOLDER`` and ``remove_container NAME``; ``$path`` is LXC's own folder.
# What is mounted below a directory goes first, the deepest at first.
REMOVE_TREE = """
path=$(lxc-config lxc.lxcpath)
mounts_below() { awk -v d="$1/" 'index($2 "/", d) == 1 {print $2}' /proc/self/mounts | sort -r; }
remove_tree() {
    for mount in $(mounts_below "$1"); do umount -l "$mount"; done
    if command -v btrfs >/dev/null && [ "$(stat -fc %T "$1" 2>/dev/null)" = btrfs ]; then
        find "$1" -depth -inum 256 -exec btrfs subvolume delete {} \\; >/dev/null 2>&1 || :
    fi
    rm -rf --one-file-system -- "$1"
    if [ -e "$1" ]; then echo "$1 is still there" >&2; return 1; fi
}
remove_container() {
    if [ -e "$path/$1" ]; then
        if [ "$(lxc-info -n "$1" -sH 2>/dev/null)" != STOPPED ]; then
            lxc-stop -n "$1" -k 2>/dev/null || :
            lxc-wait -n "$1" -s STOPPED -t 30 2>/dev/null || :
        fi
        lxc-destroy -n "$1" >/dev/null 2>&1 || :
        if [ -e "$path/$1" ]; then remove_tree "$path/$1"; fi
    fi
    # LXC's own lock file, which lxc-destroy leaves behind.
    rm -f "/run/lxc/lock$path/.$1"
}
"""

#: No two of these scripts work on the same container at the same time.
CONTAINER_LOCK = 'lock=/run/lock/$1.lock; exec 7>"$lock"; flock 7'

# Runs on the host, inside the container's mounts, before its init: whatever the clone is made of
# (overlay, subvolume, copy), the files go in through the mounted whole.
_FIRST_START_HOOK = """#!/bin/sh
files=${LXC_CONFIG_FILE%/*}/first-start
[ -d "$files" ] || exit 0
cd "$files" || exit 1
root=$LXC_ROOTFS_MOUNT
if [ -e etc/systemd/network/05-rdeploy.network ]; then rm -f "$root"/etc/netplan/*.yaml; fi
if [ ! -d "$root/etc/network" ]; then rm -rf etc/network; fi
find . -type f | while read -r file; do
    mkdir -p -m 755 "$root/${file%/*}"
    cp --remove-destination -p "$file" "$root/$file" || exit 1
done || exit 1
chmod 700 "$root/root/.ssh"
cd / && rm -rf "$files"
"""

# A seed (see lxc_seed) has the lines of its base in config.plain, and may lie on an overlay
# itself: then the files below are written by nobody, and a clone is two folders.
_CLONE_OF_SEED = """
clone_of_seed() {
    mkdir -m 770 "$dir"
    mkdir -p "$dir/overlay/delta" "$dir/overlay/work" "$dir/rootfs"
    chown --reference="$path/$base/rootfs" "$dir/overlay/delta"
    chmod --reference="$path/$base/rootfs" "$dir/overlay/delta"
    echo "lxc.rootfs.path = overlay:$path/$base/rootfs:$dir/overlay/delta" >"$dir/config"
}
"""

#: MAKE name base hostname bridge mac veth address/prefix gateway nameservers public-key lines
#: whole
MAKE = f"""
{REMOVE_TREE}
{_CLONE_OF_SEED}
{CONTAINER_LOCK}
name=$1 base=$2 hostname=$3 bridge=$4 mac=$5 veth=$6 address=$7 gateway=$8 dns=$9
key=${{10}} lines=${{11}} whole=${{12}}
dir=$path/$name
if [ -e "$dir" ]; then echo "$dir exists" >&2; rm -f "$lock"; exit 65; fi
# From here on what is of this name is ours, also a half of it.
: >"$path/.$name.rdeploy"
exec 8<"$path/$base"; flock -s 8
grep -qw overlay /proc/filesystems || modprobe -q overlay 2>/dev/null || :
kind=$(sed -n 's/^lxc.rootfs.path *= *\\([a-z]*\\):.*/\\1/p' "$path/$base/config")
how=copy
case $kind$whole in
    overlay) clone_of_seed; how=overlay ;;
    dir) if grep -qw overlay /proc/filesystems && lxc-copy -n "$base" -N "$name" -s -B overlayfs
        then how=overlay; else remove_container "$name"; fi ;;
    btrfs*|zfs*|lvm*) if lxc-copy -n "$base" -N "$name" -s
        then how=snapshot; else remove_container "$name"; fi ;;
esac
root_of() {{ sed -n 's/^lxc.rootfs.path *= *[a-z]*:\\(.*\\)/\\1/p' "$path/$1/config"; }}
identity() {{ stat -c %d:%i "$(root_of "$1")"; }}
# A snapshot once shared its root with the source: then it is copied in full.
if [ $how = snapshot ] && [ "$(identity "$base")" = "$(identity "$name")" ]; then
    sed -i "s,^lxc.rootfs.path.*,lxc.rootfs.path = dir:$dir/rootfs," "$dir/config"
    remove_container "$name"; how=copy
fi
if [ $how = copy ]; then lxc-copy -n "$base" -N "$name"; fi
flock -u 8; exec 8<&-
if [ "$(root_of "$name")" = "$(root_of "$base")" ]; then echo "root is shared" >&2; exit 66; fi
root=$(grep '^ *lxc.rootfs.path' "$dir/config")
plain=$path/$base/config.plain
[ -e "$plain" ] || plain=$dir/config
grep -v -E '^ *lxc\\.(net\\.|uts\\.name|apparmor\\.|rootfs\\.path)' "$plain" >"$dir/config.new"
rm -f "$dir/config.plain"
if [ -n "$whole" ]; then cp "$dir/config.new" "$dir/config.plain"; fi
echo "$root" >>"$dir/config.new"
grep '^lxc.hook.start ' "$path/$base/config" >>"$dir/config.new" || :
cat >>"$dir/config.new" <<END
lxc.uts.name = $hostname
lxc.apparmor.profile = unconfined
lxc.net.0.type = veth
lxc.net.0.link = $bridge
lxc.net.0.veth.pair = $veth
lxc.net.0.hwaddr = $mac
lxc.net.0.name = eth0
lxc.net.0.flags = up
lxc.mount.entry = /dev/net/tun dev/net/tun none bind,create=file,optional 0 0
lxc.cgroup2.devices.allow = c 10:200 rwm
lxc.cgroup.devices.allow = c 10:200 rwm
lxc.hook.mount = $dir/first-start.sh
END
files=$dir/first-start
mkdir -p "$files/etc/ssh" "$files/root/.ssh"
if [ -n "$address" ]; then
    echo "lxc.net.0.ipv4.address = $address" >>"$dir/config.new"
    if [ -n "$gateway" ]; then
        echo "lxc.net.0.ipv4.gateway = $gateway" >>"$dir/config.new"
    fi
    mkdir -p "$files/etc/network" "$files/etc/systemd/network"
    printf 'auto lo\\niface lo inet loopback\\n\\niface eth0 inet manual\\n' \\
        >"$files/etc/network/interfaces"
    printf '[Match]\\nName=eth0\\n\\n[Network]\\nKeepConfiguration=static\\nAddress=%s\\n' \\
        "$address" >"$files/etc/systemd/network/05-rdeploy.network"
    if [ -n "$gateway" ]; then
        echo "Gateway=$gateway" >>"$files/etc/systemd/network/05-rdeploy.network"
    fi
    if [ "$dns" = host ]; then
        dns=$(sed -n 's/^nameserver *//p' /run/systemd/resolve/resolv.conf 2>/dev/null || :)
        [ -n "$dns" ] || dns=$(sed -n 's/^nameserver *//p' /etc/resolv.conf | grep -v '^127' || :)
    fi
    for server in $dns; do echo "nameserver $server"; done >"$files/etc/resolv.conf"
fi
if [ -n "$lines" ]; then echo "$lines" >>"$dir/config.new"; fi
mv "$dir/config.new" "$dir/config"
echo "$hostname" >"$files/etc/hostname"
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n%s %s\\n' \\
    "$(if [ -n "$address" ]; then echo "${{address%/*}}"; else echo 127.0.1.1; fi)" "$hostname" \\
    >"$files/etc/hosts"
tr -d - </proc/sys/kernel/random/uuid >"$files/etc/machine-id"
for type in ed25519 ecdsa; do
    ssh-keygen -q -t $type -N '' -C "root@$hostname" -f "$files/etc/ssh/ssh_host_${{type}}_key"
done
of=$path/$base/rootfs
{MAKE_ANEW}
echo "$key" >"$files/root/.ssh/authorized_keys"
chmod 600 "$files/root/.ssh/authorized_keys"
cat >"$dir/first-start.sh" <<'END'
{_FIRST_START_HOOK}END
chmod 755 "$dir/first-start.sh"
echo "clone $how"
"""

START = f"""
path=$(lxc-config lxc.lxcpath)
{CONTAINER_LOCK}
if [ "$(lxc-info -n "$1" -sH)" = RUNNING ]; then return 0; fi
# Nothing of our own surroundings is any business of the container's.
log=$path/$1/start.log
if ! env -i PATH="$PATH" lxc-start -n "$1" -d -l NOTICE -o "$log" 7<&- 2>>"$log"; then
    if grep -q 'Failed to run lxc.hook.start ' "$log"; then
        # What makes a clone a node of its own: see lxc_seed.
        for root in rootfs overlay/delta; do
            said=$(cat "$path/$1/$root/var/lib/rdeploy/clone/log" 2>/dev/null) || continue
        done
        echo "$said" | tail -n 12 >&2; exit 69
    fi
    tail -n 12 "$log" >&2; exit 68
fi
"""

STOP = f"""
{CONTAINER_LOCK}
if [ "$(lxc-info -n "$1" -sH)" = STOPPED ]; then return 0; fi
lxc-stop -n "$1" -t "$2"
"""

#: DELETE name bridge address
DELETE = f"""
if ! command -v lxc-config >/dev/null; then return 0; fi
{REMOVE_TREE}
{CONTAINER_LOCK}
if [ -e "$path/$1" ] && [ ! -e "$path/.$1.rdeploy" ]; then
    lxc-info -n "$1" >&2; rm -f "$lock"; exit 65
fi
# Whatever was a clone of it is gone.
rm -f "$path/$1/lxc_snapshots"
remove_container "$1"
# Otherwise the next container with this address waits for the host's stale entry.
if [ -n "$2" ] && [ -n "$3" ]; then ip neigh del "$3" dev "$2" 2>/dev/null || :; fi
if [ -e "$path/$1" ]; then echo "$path/$1 is still there" >&2; exit 1; fi
rm -f "$path/.$1.rdeploy" "$lock"
"""

#: WAIT seconds address...: until each answers as an SSH server; prints those that do not.
WAIT = """
end=$(($(date +%s) + $1)); shift
greets() {
    # Without --norc a bash below sshd reads ~/.bashrc, which may take longer than that.
    timeout 2 bash --norc -c 'exec 3<>"/dev/tcp/$1/22" && read -r -t 2 line <&3 &&
        case $line in SSH-*) exit 0;; esac; exit 1' greets "$1" 2>/dev/null
}
left="$*"
while :; do
    still=
    for address in $left; do
        if greets "$address"; then echo "$address answers"; else still="$still $address"; fi
    done
    left=$still
    if [ -z "$left" ]; then return 0; fi
    if [ "$(date +%s)" -ge "$end" ]; then echo "$left" >&2; exit 69; fi
    sleep 0.2
done
"""
