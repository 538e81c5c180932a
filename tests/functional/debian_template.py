"""A whole Debian with cloud-init as a disk for virtual machines, of libvirt or of a cloud.

It is the base container of LxcProvider on a disk, with a kernel and its initramfs beside it, which
are booted directly: no boot loader, which would take long under software emulation. Unless it is
to be lean, the base is in it once more as a container, so that LxcProvider finds it there: to make
it takes half an hour.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.functional import lxc_rig

#: What the kernel of a domain with this disk is told (see ``libvirt_rig.Libvirtd.define``).
WORDS = "root=/dev/vda rw net.ifnames=0"

_NETWORK = """[Match]
Name=eth0
[Network]
DHCP=ipv4
[DHCPv4]
ClientIdentifier=mac
"""

#: base folder disk-MiB network lean
_BUILD = r"""
set -e
base=$1 folder=$2 size=$3 network=$4 lean=$5
export root=$folder/root
trap 'rm -rf "$root"' EXIT
mkdir -p "$folder"
cp -a "$base/rootfs" "$root"
if [ -z "$lean" ]; then
    mkdir -p "$root/var/lib/lxc"
    cp -a "$base" "$root/var/lib/lxc/"
    rm -f "$root/var/lib/lxc"/*/lxc_snapshots
fi
cat /etc/resolv.conf >"$root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# The mounts are in a namespace of their own.
unshare -m sh -ec '
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
    chroot "$root" apt-get -q update
    chroot "$root" apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
        install linux-image-cloud-amd64 initramfs-tools cloud-init
'
rm "$root/usr/sbin/policy-rc.d"
cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
cp "$root"/boot/initrd.img-* "$folder/initramfs"
rm -rf "$root"/boot/* "$root"/var/cache/apt/archives/*.deb
echo "/dev/vda / ext4 noatime,nobarrier 0 1" >"$root/etc/fstab"
printf '%s' "$network" >"$root/etc/systemd/network/10-eth0.network"
ln -sf /lib/systemd/system/systemd-networkd.service \
    "$root/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
printf 'auto lo\niface lo inet loopback\n' >"$root/etc/network/interfaces"
# To make host keys of every kind takes an emulated machine a minute.
printf '%s\n' 'network: {config: disabled}' 'disable_root: false' 'ssh_genkeytypes: [ed25519]' \
    'datasource_list: [NoCloud, OpenStack, None]' >"$root/etc/cloud/cloud.cfg.d/90-rdt.cfg"
truncate -s "${size}M" "$folder/disk.raw"
mkfs.ext4 -q -O ^has_journal -d "$root" "$folder/disk.raw"
qemu-img convert -O qcow2 "$folder/disk.raw" "$folder/disk.qcow2"
rm "$folder/disk.raw"
touch "$folder/ready"
"""


def build(folder: Path, size_mb: int = 10000, lean: bool = False) -> Path:
    """``folder`` with vmlinuz, initramfs and disk.qcow2, unless they are there."""
    if not (folder / "ready").exists():
        base = Path("/var/lib/lxc", lxc_rig.make_base())
        subprocess.run(
            ["sh", "-c", _BUILD, "build", str(base), str(folder), str(size_mb), _NETWORK,
             "lean" if lean else ""],
            check=True, stdout=subprocess.DEVNULL)
    return folder
