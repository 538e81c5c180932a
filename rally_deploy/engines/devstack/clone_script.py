"""The shell script that makes a clone of a stacked server a node of its own."""

from __future__ import annotations

from rally_deploy.engines.devstack.node import DEST, Node

# Its first line sets ``checkout``.
_SCRIPT = r"""
old=$1 new=$2 from=$3 to=$4
data=$(sed -n 's/^DATA_DIR=//p' "$checkout/.stackenv" 2>/dev/null | tail -n 1)
data=${data:-DEST/data}
if [ "$old $from" = "$new $to" ]; then exit 0; fi
controller=
if [ -e /etc/keystone/keystone.conf ]; then controller=yes; fi

# replace OLD NEW CHARACTERS FILES: where no such character is beside it. An address is no part of
# a longer one, nor a host name. Twice: one character may be the end of one and before the next.
replace() {
    [ "$1" != "$2" ] || return 0
    was=$(printf %s "$1" | sed 's/[.]/\\./g') is=$2 no=$3 word=$1
    shift 3
    grep -rlIF -- "$word" "$@" 2>/dev/null | while read -r file; do
        if [ -L "$file" ]; then continue; fi
        sed -i -E -e ':a' -e "s/(^|[^$no])$was(\$|[^$no])/\\1$is\\2/;ta" "$file"
    done
}
set -- /etc/nova /etc/keystone /etc/glance /etc/placement /etc/neutron /etc/cinder /etc/swift \
    /etc/openstack /etc/apache2 /etc/uwsgi /etc/mysql /etc/memcached.conf \
    "$checkout/.stackenv" "$checkout/local.conf" "$checkout/accrc" /etc/systemd/system/devstack@*
replace "$from" "$to" '0-9.' "$@"
replace "$old" "$new" 'A-Za-z0-9_.-' "$@"

setting() { sed -n "s/^$2 *= *//p" "$1" 2>/dev/null | head -n 1; }
identify() {
    tr -d '\n' </proc/sys/kernel/random/uuid >"$1/compute_id.new"
    chown --reference="$1" "$1/compute_id.new"
    mv "$1/compute_id.new" "$1/compute_id"
}
# Each fake compute has a name, a folder and an identity of its own. In a clone of a whole cloud
# they keep their identities: that cloud knows them by these.
fake=
for conf in /etc/nova/nova-fake.conf-*; do
    [ -e "$conf" ] || continue
    fake=yes
    name=$new${conf##*-} state=$(setting "$conf" state_path)
    top=$(dirname "$state")
    if [ "$(setting "$conf" host)" = "$name" ] && [ -s "$top/$name/compute_id" ]; then continue; fi
    if [ -n "$controller" ] && [ -d "$state" ]; then
        [ -e "$top/$name" ] || mv "$state" "$top/$name"
    else
        mkdir -p "$top/$name"
        chown --reference="$top" "$top/$name"
        identify "$top/$name"
    fi
    sed -i -e "s,^host *=.*,host = $name," -e "s,^state_path *=.*,state_path = $top/$name," "$conf"
done
state=$(setting /etc/nova/nova-cpu.conf state_path)
state=${state:-$data/nova}
if [ -z "$fake$controller" ] && [ -e "$state/compute_id" ] &&
    [ "$(cat "$state/compute_id.host" 2>/dev/null)" != "$new" ]; then
    identify "$state"
    echo "$new" >"$state/compute_id.host"
fi
# Agents tell themselves apart by it.
for file in /etc/openvswitch/system-id.conf /etc/iscsi/initiatorname.iscsi; do
    [ -e "$file" ] && [ "$(cat "$file.host" 2>/dev/null)" != "$new" ] || continue
    case $file in
        *system-id*) cat /proc/sys/kernel/random/uuid >"$file" ;;
        *) echo "InitiatorName=iqn.1993-08.org.debian:01:$(date +%N)$$" >"$file" ;;
    esac
    echo "$new" >"$file.host"
done

# OVN tells its chassis apart, and finds the way to them, by Open vSwitch's database.
# Its server does not run yet: the file itself is changed.
for db in /etc/openvswitch/conf.db "$data/ovs/conf.db"; do
    [ -e "$db" ] && grep -q ovn-encap-ip "$db" || continue
    id=$(cat /etc/openvswitch/system-id.conf 2>/dev/null || cat /proc/sys/kernel/random/uuid)
    own='["ovn-encap-ip","'$to'"],["hostname","'$new'"],["system-id","'$id'"]'
    said=$(ovsdb-tool transact "$db" '["Open_vSwitch",{"op":"mutate","table":"Open_vSwitch",
        "where":[],"mutations":[
            ["external_ids","delete",["set",["ovn-encap-ip","hostname","system-id"]]],
            ["external_ids","insert",["map",['"$own"']]]]}]')
    case $said in *'"error"'*) echo "$db: $said" >&2; exit 1 ;; esac
done

# The catalog and the cells are in the database, which may not run yet: then it is started without
# its network for a moment.
mark=$data/.rdeploy-clone
if [ -z "$controller" ] || [ "$(cat "$mark" 2>/dev/null)" = "$new $to" ]; then exit 0; fi
server=$(command -v mariadbd || command -v mysqld || :)
[ -n "$server" ] || exit 0
socket=/run/mysqld/rdeploy-clone.sock
if MYSQL_PWD=$(sed -n 's,^BASE_SQL_CONN=.*://[^:]*:\([^@]*\)@.*,\1,p' "$checkout/.stackenv")
    export MYSQL_PWD; mysql -u root -h 127.0.0.1 -e 'SELECT 1' >/dev/null 2>&1; then
    ask="mysql -u root -h 127.0.0.1" started=
else
    ask="mysql -u root --socket=$socket" started=yes
    install -d -o mysql -g mysql /run/mysqld
    "$server" --user=mysql --skip-networking --skip-grant-tables --socket=$socket \
        --pid-file=$socket.pid </dev/null >/dev/null 2>&1 &
    n=0
    until $ask -e 'SELECT 1' >/dev/null 2>&1; do
        n=$((n + 1))
        if [ $n -gt 300 ]; then echo "the database does not start" >&2; exit 1; fi
        sleep 0.1
    done
fi
moved() {
    text=$1
    for pair in '//%s/' '//%s:' '@%s:' '@%s/'; do
        text="REPLACE($text, '$(printf "$pair" "$from")', '$(printf "$pair" "$to")')"
    done
    echo "$1 = $text"
}
renamed() { echo "$1 = CONCAT('$new', SUBSTRING($1, $((${#old} + 1)))) WHERE $1 LIKE '$old%'"; }
$ask --force 2>/dev/null <<END || :
UPDATE keystone.endpoint SET $(moved url);
UPDATE nova_api.cell_mappings SET $(moved transport_url), $(moved database_connection);
UPDATE nova_api.host_mappings SET $(renamed host);
UPDATE nova_cell0.services SET $(renamed host);
UPDATE nova_cell1.services SET $(renamed host);
UPDATE nova_cell1.compute_nodes SET $(renamed host);
UPDATE nova_cell1.compute_nodes SET $(renamed hypervisor_hostname);
UPDATE nova_cell1.instances SET $(renamed host);
UPDATE nova_cell1.instances SET $(renamed node);
UPDATE placement.resource_providers SET $(renamed name);
UPDATE neutron.agents SET $(renamed host);
END
left=$($ask -N -e "SELECT COUNT(*) FROM keystone.endpoint WHERE url LIKE '%//$from/%'")
if [ -n "$started" ]; then
    mysqladmin -u root --socket=$socket shutdown
    rm -f $socket $socket.pid
fi
if [ "$left" != 0 ] && [ "$from" != "$to" ]; then
    echo "the catalog still has $left endpoints at $from" >&2; exit 1
fi
echo "$new $to" >"$mark"
""".replace("DEST", DEST)


def clone_script(node: Node) -> str:
    """Its arguments are the old and the new host name, the old and the new address."""
    return f"checkout={node.checkout}\n{_SCRIPT}"
