"""Takes OpenStack off a server that was there before us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rally_deploy.engines.distro.bridges import (
    EXTERNAL_BRIDGE,
    MASQUERADE,
    SCRIPT,
    TUNNEL_BRIDGE,
    UNIT,
    UNIT_FILE,
)
from rally_deploy.engines.distro.infra import DATABASES, MARIADB_CONFIG
from rally_deploy.hosts import packages
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import STATE_DIR, Shell

#: The kind of the ledger's resource: all that is put onto one server.
KIND = "openstack_packages"

#: Accounts that the packages make and leave behind.
USERS = (
    "keystone", "glance", "placement", "nova", "neutron", "mysql", "rabbitmq", "epmd", "memcache",
    "haproxy", "radvd", "dnsmasq", "libvirt-qemu", "libvirt-dnsmasq", "swtpm", "tss", "uwsgi",
    "messagebus", "polkitd",
)

#: Package -> folders that it fills and a purge leaves.
_FOLDERS = {
    "keystone": "keystone", "glance-api": "glance", "placement-api": "placement",
    "nova-common": "nova", "neutron-common": "neutron", "mariadb-server": "mysql",
    "rabbitmq-server": "rabbitmq", "libvirt-daemon-system": "libvirt",
}

_STOP = r"""
for unit in $(systemctl list-units --all --plain --no-legend 'nova-*' 'neutron-*' 'glance-*' \
    'placement-*' 'keystone*' | awk '$1 ~ /[.]service$/ {print $1}'); do
    systemctl stop "$unit" || :
done
if command -v virsh >/dev/null && systemctl is-active -q libvirtd; then
    for domain in $(virsh list --all --name | grep '^instance-'); do
        virsh destroy "$domain" >/dev/null 2>&1 || :
        virsh undefine "$domain" --nvram >/dev/null || :
    done
fi
"""

# What it has in its tables goes with its package, so it need not be written; and a stop in the
# milliseconds in which it opens its port has no end (see hosts/systemd.py).
_KILL_DATABASE = """
systemctl stop --no-block mariadb 2>/dev/null || exit 0
systemctl kill -s KILL mariadb 2>/dev/null || :
systemctl stop mariadb
systemctl reset-failed mariadb 2>/dev/null || :
"""

_NETWORKS = rf"""
for space in $(ip netns list 2>/dev/null | awk '$1 ~ /^(qrouter|qdhcp)-/ {{print $1}}'); do
    for pid in $(ip netns pids "$space"); do kill "$pid" 2>/dev/null || :; done
    ip netns del "$space"
done
for link in $(ip -o link | awk -F': ' '{{sub("@.*", "", $2); print $2}}' |
    grep -E '^(brq[0-9a-f]{{8}}-..|tap[0-9a-f]{{8}}-..|vxlan-[0-9]+)$' || :); do
    ip link del "$link" 2>/dev/null || :
done
systemctl disable -q --now {UNIT} 2>/dev/null || :
for link in {TUNNEL_BRIDGE} {EXTERNAL_BRIDGE}; do
    if ip link show "$link" >/dev/null 2>&1 && [ -e {UNIT_FILE} ]; then ip link del "$link"; fi
done
if command -v iptables-save >/dev/null; then
    iptables -w 30 -t nat -D POSTROUTING {MASQUERADE} 2>/dev/null || :
    for table in filter nat mangle raw; do
        iptables-save -t $table 2>/dev/null | grep -E 'neutron-(linuxbri|filter)' |
            grep '^-A' | sed 's/^-A/-D/' | while read -r rule; do
            eval "iptables -w 30 -t $table $rule" 2>/dev/null || :
        done
        for chain in $(iptables-save -t $table 2>/dev/null |
            awk '/^:neutron-(linuxbri|filter)/ {{print substr($1, 2)}}'); do
            iptables -w 30 -t $table -X "$chain" 2>/dev/null || :
        done
    done
fi
if [ -e {STATE_DIR}/ip_forward.distro ]; then
    cat {STATE_DIR}/ip_forward.distro >/proc/sys/net/ipv4/ip_forward
fi
rm -f {SCRIPT} {UNIT_FILE} {STATE_DIR}/ip_forward.distro
rmdir "$(dirname {SCRIPT})" 2>/dev/null || :
systemctl daemon-reload
"""

_DATABASES = r"""
if command -v mysql >/dev/null && systemctl is-active -q mariadb; then
    for name in $1; do echo "DROP DATABASE IF EXISTS $name;"; done | mysql
    for name in $2; do echo "DROP USER IF EXISTS '$name'@'localhost';"; done | mysql
fi
if command -v rabbitmqctl >/dev/null && systemctl is-active -q rabbitmq-server; then
    rabbitmqctl -q delete_user openstack 2>/dev/null || :
fi
"""

_FILES = rf"""
for name in $1; do rm -rf "/etc/$name" "/var/lib/$name" "/var/log/$name" "/var/cache/$name"; done
for name in $2; do
    if id "$name" >/dev/null 2>&1; then pkill -KILL -u "$name" || :; userdel "$name" || :; fi
    if getent group "$name" >/dev/null; then groupdel "$name" || :; fi
done
rm -rf {STATE_DIR}/done {STATE_DIR}/units {STATE_DIR}/guest {STATE_DIR}/images
rm -f {MARIADB_CONFIG}
for name in nova neutron placement glance keystone; do
    rm -f /etc/systemd/system/"$name"*.service.d/50-rdeploy.conf
    rmdir /etc/systemd/system/"$name"*.service.d 2>/dev/null || :
    find /etc/systemd/system -name "$name*.service" -xtype l -delete
done
systemctl daemon-reload
rm -f {STATE_DIR}/locks/once-*.lock {STATE_DIR}/locks/units.lock
rmdir {STATE_DIR}/locks {STATE_DIR} 2>/dev/null || :
"""


def facts_before(shell: Shell, names: Sequence[str]) -> dict[str, Any]:
    """What an install of these packages will add to this server: packages and accounts."""
    wanted = packages.missing(shell, names)
    new = packages.would_install(shell, wanted) if wanted else []
    there = shell.script("cut -d: -f1 /etc/passwd", quiet=True).stdout.split()
    return {"packages": new, "users": [user for user in USERS if user not in there]}


def remove(shell: Shell, jobs: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Undo it as far as it came: guests, networks, databases, packages, files, accounts."""
    for job in jobs:
        detached.end(shell, job)
        detached.forget(shell, job)
    ours = list(facts.get("packages", []))
    shell.script(_STOP, timeout_s=1800)
    shell.script(_NETWORKS, timeout_s=120)
    if "mariadb-server" not in ours or "rabbitmq-server" not in ours:
        names = " ".join(name for group in DATABASES.values() for name in group)
        shell.script(_DATABASES, names, " ".join(DATABASES), check=False)
    if "mariadb-server" in ours:
        shell.script(_KILL_DATABASE, timeout_s=120)
    if ours:
        packages.purge(shell, ours)
    folders = [folder for package, folder in _FOLDERS.items() if package in ours]
    shell.script(_FILES, " ".join(folders), " ".join(facts.get("users", [])), timeout_s=1800)
