"""A guest of our own: a few megabytes that boot in seconds even without hardware's help.

The distribution's kernel, an initramfs with busybox and dropbear, and an empty disk. Like
cloud-init it takes its address by DHCP and its SSH key and name from the metadata service. It is
built on the controller from packages that are only unpacked there, not installed.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rally_deploy.hosts.packages import APT
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import STATE_DIR, Shell

FOLDER = f"{STATE_DIR}/guest"

#: In the order in which they are loaded; one that the kernel has built in is skipped.
MODULES = (
    "af_packet", "failover", "net_failover", "virtio_ring", "virtio", "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev", "virtio_pci", "virtio_net", "virtio_blk", "rng-core", "virtio-rng",
)

#: How the init of such a guest begins: then its network interface, $nic, is up.
INIT_BEGIN = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root/.ssh /var/log /etc/dropbear
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
for module in $(cat /modules/order); do insmod "/modules/$module.ko" 2>/dev/null; done
hostname guest
ip link set lo up
nic=eth0
n=0
while [ ! -e /sys/class/net/$nic ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
ip link set $nic up
"""

_INIT = INIT_BEGIN + r"""udhcpc -i $nic -b -t 5 -T 2 -A 2 -s /etc/udhcpc.sh >/dev/null 2>&1
dropbear -R -s -E 2>/dev/null
chmod 700 /root /root/.ssh
# wget's own -T makes this busybox crash.
(
    url=http://169.254.169.254/latest/meta-data
    n=0
    until name=$(timeout 10 wget -q -O - $url/local-hostname) || [ $n -ge 60 ]; do
        sleep 1; n=$((n + 1))
    done
    name=${name%%.*}
    hostname "${name:-guest}"
    timeout 10 wget -q -O /root/.ssh/authorized_keys $url/public-keys/0/openssh-key ||
        rm -f /root/.ssh/authorized_keys
    address=$(ip -4 -o addr show $nic | awk '{print $4}')
    echo "rdeploy guest $(hostname) is up at ${address:-no address}" >/dev/console
) &
while :; do setsid cttyhack sh </dev/console >/dev/console 2>&1; sleep 1; done
"""

_DHCP = r"""#!/bin/sh
case $1 in
bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    if [ -n "$mtu" ]; then ip link set "$interface" mtu "$mtu"; fi
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface"; break
    done
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            case $1 in 0.0.0.0/0) ;; *) ip route replace "$1" via "$2" dev "$interface" ;; esac
            shift 2
        done
    fi
    : >/etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    ;;
esac
"""

_BUILD = APT + r"""
folder=$1 kernel_package=$2 modules=$3
[ ! -e "$folder/ready" ] || exit 0
export LC_ALL=C
umask 022
rm -rf "$folder"
mkdir -p "$folder/work/debs" "$folder/work/root"
cd "$folder/work/debs"
trap 'rm -rf "$folder/work"' EXIT
fetch() {
    kernels=$(apt-cache depends "$kernel_package" |
        awk '$1 == "Depends:" && $2 ~ /^linux-(image|modules)-[0-9]/ {print $2}')
    more=$(apt-cache depends $kernels |
        awk '$1 == "Depends:" && $2 ~ /^linux-modules-[0-9]/ {print $2}')
    apt-get -q -o Acquire::Retries=3 download $(printf '%s\n' $kernels $more | sort -u) \
        busybox dropbear-bin $(apt-cache depends dropbear-bin |
            awk '$1 == "Depends:" && $2 ~ /^libtom/ {print $2}') cpio
}
# The lists may be as old as the base container that the server is a clone of.
if ! fetch; then apt_get update; fetch; fi
cd ..
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
tree=$PWD/tree
mkdir -p tree/bin tree/usr/sbin tree/etc tree/modules tree/lib64 tree/root
cp "$(find root -name busybox -type f -perm -1 | head -n 1)" tree/bin/busybox
cp root/usr/sbin/dropbear tree/usr/sbin/
libraries=$(dirname "$(find "$PWD/root" -name 'libtomcrypt.so*' | head -n 1)")
LD_LIBRARY_PATH=$libraries ldd tree/usr/sbin/dropbear tree/bin/busybox |
    awk '/=> \//{print $3} /^[ \t]*\/lib/{print $1}' | while read -r library; do
    case $library in
    */ld-linux*) mkdir -p "tree$(dirname "$library")"; cp -L "$library" "tree$library" ;;
    *) mkdir -p tree/lib; cp -L "$library" tree/lib/ ;;
    esac
done
for module in $modules; do
    found=$(find root -name "$module.ko*" -o -name "$(echo "$module" | tr _ -).ko*" | head -n 1)
    case $found in
    "") continue ;;
    *.xz) xz -dc "$found" >"tree/modules/$module.ko" ;;
    *.zst) zstd -dcq "$found" >"tree/modules/$module.ko" ;;
    *) cp "$found" "tree/modules/$module.ko" ;;
    esac
    echo "$module" >>tree/modules/order
done
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' >tree/etc/passwd
printf '%s\n' 'root:*:19000:0:99999:7:::' >tree/etc/shadow
printf '%s\n' 'root:x:0:' >tree/etc/group
printf '%s\n' /bin/sh >tree/etc/shells
printf '%s' "$INIT" >tree/init
printf '%s' "$DHCP" >tree/etc/udhcpc.sh
chmod 755 tree/init tree/etc/udhcpc.sh
cpio=$(find "$PWD/root" -name cpio -type f -perm -1 | head -n 1)
(cd tree && find . | "$cpio" -o -H newc -R 0:0 --quiet | gzip -6) >"$folder/initramfs"
cp "$(find root -name 'vmlinuz-*' -type f | head -n 1)" "$folder/vmlinuz"
truncate -s 1M "$folder/disk.raw"
touch "$folder/ready"
"""


def build_script(init: str) -> str:
    """Shell commands that build a guest: $1 its folder, $2 kernel package, $3 its modules."""
    return f"INIT={shlex.quote(init)}\nDHCP={shlex.quote(_DHCP)}\n{_BUILD}"


@dataclass(frozen=True)
class GuestFiles:
    """Where its parts are on the controller."""

    kernel: str = f"{FOLDER}/vmlinuz"
    ramdisk: str = f"{FOLDER}/initramfs"
    disk: str = f"{FOLDER}/disk.raw"


def build_guest(shell: Shell, job: str, kernel_package: str) -> GuestFiles:
    """Build it on this server unless it is there."""
    done = detached.run(
        shell, job, build_script(_INIT), FOLDER, kernel_package, " ".join(MODULES), timeout_s=600)
    if not done.ok:
        raise shell.failure("the guest image cannot be built", done)
    return GuestFiles()


def empty_disk(shell: Shell) -> GuestFiles:
    """Only the empty disk: enough for servers that are not real."""
    shell.run(["mkdir", "-p", FOLDER])
    shell.run(["truncate", "-s", "1M", GuestFiles().disk])
    return GuestFiles()
