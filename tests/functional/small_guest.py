"""The small guest of tests: it boots in seconds even in software, with a guest agent or without.

As ``hosts.guest_image``'s, but what it does is told by its kernel's command line:

* ``rdt.key=``, ``rdt.hash=``: root's key and the hash of its password.
* ``rdt.client=``: the client identifier that DHCP gets; ``rdt.deaf``: it does not ask DHCP.
* ``rdt.off``: it ends at once.

And with an agent:

* ``rdt.address=A``: a static address. ``N`` at its end is a hundred and the clone's number, which
  the disk for cloud-init tells. Nothing is sent for it: neither DHCP nor ARP tell it to the host.
* ``rdt.agent=hangs``: in place of QEMU's one that answers nothing but libvirt's greeting.
"""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path

from rally_deploy.hosts import guest_image

#: The guest's initramfs with an agent, beside the one without.
WITH_AGENT = "initramfs-agent"

_INIT = guest_image.INIT_BEGIN + r"""
for word in $(cat /proc/cmdline); do
    case $word in
    rdt.key=*) echo "ssh-ed25519 ${word#rdt.key=}" >/root/.ssh/authorized_keys ;;
    rdt.hash=*) hash=${word#rdt.hash=} ;;
    rdt.client=*) client="-x 0x3d:${word#rdt.client=}" ;;
    rdt.deaf) deaf=1 ;;
    rdt.off) poweroff -f ;;
    esac
done
chmod 700 /root /root/.ssh
echo "root:${hash:-*}:19000:0:99999:7:::" >/etc/shadow
# As much of cloud-init as this guest needs.
if [ -e /dev/vdb ]; then
    grep -ao 'ssh-ed25519 [A-Za-z0-9+/=]*' /dev/vdb >>/root/.ssh/authorized_keys
fi
[ ! -x /agent ] || /agent "$nic"
[ -n "$deaf" ] || udhcpc -i $nic -b -t 10 -T 2 -A 2 $client -s /etc/udhcpc.sh >/dev/null 2>&1
dropbear -R -E 2>/dev/null
echo "the guest is up" >/dev/console
while :; do setsid cttyhack sh </dev/console >/dev/console 2>&1; sleep 1; done
"""

_AGENT = r"""#!/bin/sh
nic=$1
for word in $(cat /proc/cmdline); do
    case $word in
    rdt.address=*) address=${word#rdt.address=} ;;
    rdt.agent=*) agent=${word#rdt.agent=} ;;
    esac
done
case $address in
*N)
    name=$(grep -ao '"local-hostname": "rd-[0-9a-f]*-[0-9]*' /dev/vdb | head -n 1)
    address=${address%N}$((100 + ${name##*-}))
    ;;
esac
[ -z "$address" ] || ip addr add "$address/24" dev "$nic"
# The port comes and gets its name a moment after the driver.
n=0
while [ -z "$device" ] && [ $n -lt 100 ]; do
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name" 2>/dev/null)" != org.qemu.guest_agent.0 ] || device=/dev/${port##*/}
    done
    [ -n "$device" ] || sleep 0.1
    n=$((n + 1))
done
if [ "$agent" != hangs ]; then
    exec qemu-ga -d -m virtio-serial -p "$device" -t /run -f /run/qemu-ga.pid
fi
exec 3<>"$device"
while :; do
    while read -r line <&3; do
        case $line in
        *guest-sync-delimited*) mark='\377' ;;
        *guest-sync*) mark= ;;
        *) echo "left alone: $line" >/dev/console; continue ;;
        esac
        number=$(echo "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')
        printf "$mark"'{"return": %s}\n' "$number" >&3
    done
    sleep 0.2
done &
"""

_ADD = r"""
set -e
folder=$1 name=$2
export LC_ALL=C
umask 022
work=$folder/agent-work
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/usr/sbin" "$work/tree/lib"
cd "$work"
apt-get -q -o Acquire::Retries=3 download qemu-guest-agent
dpkg-deb -x qemu-guest-agent_*.deb root
cp root/usr/sbin/qemu-ga tree/usr/sbin/
# Its libraries are QEMU's, which is on this machine.
ldd root/usr/sbin/qemu-ga >libraries
if grep 'not found' libraries; then exit 1; fi
awk '/=> \//{print $3}' libraries | while read -r library; do cp -L "$library" tree/lib/; done
printf '%s' "$AGENT" >tree/agent
chmod 755 tree/agent
(cd tree && find . | cpio -o -H newc -R 0:0 --quiet | gzip -6) >agent
cat "$folder/initramfs" agent >"$folder/$name.new"
mv "$folder/$name.new" "$folder/$name"
"""


def build(folder: Path) -> Path:
    """The parts of the guest, from the distribution's packages, unless they are there."""
    # The last one is for a guest agent.
    modules = " ".join([*guest_image.MODULES, "virtio_console"])
    script = f"set -e # {modules}\n{guest_image.build_script(_INIT)}"
    # What was kept from an earlier run may have been built in another way.
    target = folder / f"guest-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(target), "linux-image-cloud-amd64", modules],
        capture_output=True, text=True, check=False,
    )
    assert (target / "ready").exists(), done.stdout + done.stderr
    folder.chmod(0o755)
    return target


def add_agent(guest: Path) -> None:
    """Make ``WITH_AGENT`` in the folder of a guest: a kernel unpacks several archives in a row."""
    done = subprocess.run(
        ["sh", "-c", f"AGENT={shlex.quote(_AGENT)}\n{_ADD}", "sh", str(guest), WITH_AGENT],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
