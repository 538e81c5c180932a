"""What makes a copy of a server's whole file system a node, or a cloud, of its own."""

from __future__ import annotations

from rally_deploy.engines.distro import neutron, nova
from rally_deploy.hosts.files import DONE_DIR

_SQL = "/etc/mysql/rdeploy-clone.sql"
_SQL_CONFIG = "/etc/mysql/mariadb.conf.d/91-rdeploy-clone.cnf"

# A compute is known by its host name and address. An all-in-one speaks to itself by the loopback
# and keeps the name under which its own services know each other: only the addresses by which
# others know it change, in its files and, when the database starts, in the catalog.
SCRIPT = f"""
old_host=$1 new_host=$2 old=$3 new=$4
# That Keystone is installed tells nothing: a base container may have it for all nodes.
if [ -e {DONE_DIR}/keystone ]; then
    if [ "$old" != "$new" ]; then
        for file in /etc/nova/nova.conf /etc/neutron/neutron.conf /etc/glance/glance-api.conf \\
            /etc/placement/placement.conf; do
            [ ! -e $file ] || sed -i "s,//$old:,//$new:,g" $file
        done
        echo "UPDATE keystone.endpoint SET url = REPLACE(url, '//$old:', '//$new:');" >{_SQL}
        printf '[mysqld]\\ninit_file = {_SQL}\\n' >{_SQL_CONFIG}
    fi
else
    if [ "$old_host" != "$new_host" ] && grep -qx "host = $old_host" {nova.CONFIG}; then
        # Once, and not at each boot: it is made anew by nova-compute.
        rm -f /var/lib/nova/compute_id
    fi
    for file in {nova.CONFIG} {neutron.CONFIG}; do
        [ -e $file ] || continue
        sed -i "s,^host = .*,host = $new_host,; s,^my_ip = .*,my_ip = $new," $file
    done
    if [ -e {neutron.LINUXBRIDGE} ]; then
        sed -i "s,^local_ip = .*,local_ip = $new," {neutron.LINUXBRIDGE}
    fi
fi
# Libvirt takes the firmware's uuid otherwise, which all containers of a machine share.
if [ -e {nova.LIBVIRT_CONFIG} ] && ! grep -q '^host_uuid' {nova.LIBVIRT_CONFIG}; then
    echo 'host_uuid_source = "machine-id"' >>{nova.LIBVIRT_CONFIG}
fi
"""
