"""The shell scripts that take DevStack off a server, and the names of what it leaves there."""

from __future__ import annotations

from rally_deploy.engines.devstack.faster import DROP_SOCKET

#: Files and folders that DevStack and its packages leave outside of its own folder.
FILES = (
    "/etc/devstack-version", "/etc/apt/apt.conf.d/80retry", "/etc/sudoers.d/50_stack_sh",
    "/etc/sudoers.d/zz-secure-path", "/etc/sudoers.d/00_logging", "/etc/sudoers.d/nova-rootwrap",
    "/etc/sudoers.d/cinder-rootwrap", "/etc/sudoers.d/neutron-rootwrap", "/etc/openstack",
    "/etc/bash_completion.d", "/etc/bash_completion.d/osc.bash_completion",
    "/etc/bash_completion.d/nova-manage.bash_completion", "/etc/tmpfiles.d/uwsgi.conf",
    "/etc/gitconfig", "/etc/crypttab",
    "/etc/rsyslog.d/90-stack-m.conf", "/etc/rsyslog.d/90-stack-s.conf", "/etc/nova",
    "/etc/keystone", "/etc/glance", "/etc/placement", "/etc/neutron", "/etc/cinder", "/etc/swift",
    "/etc/apache2", "/etc/mysql", "/etc/rabbitmq", "/etc/uwsgi", "/etc/postgresql",
    "/etc/postgresql-common", "/etc/iscsi", "/etc/memcached.conf", "/etc/haproxy", "/etc/libvirt",
    "/etc/openvswitch", "/etc/ovn", "/var/lib/mysql", "/var/lib/rabbitmq", "/var/lib/postgresql",
    "/var/lib/haproxy", "/var/lib/apache2", "/var/lib/libvirt", "/var/lib/openvswitch",
    "/var/lib/nova", "/var/lib/uwsgi", "/var/log/rabbitmq", "/var/log/apache2", "/var/log/mysql",
    "/var/log/postgresql", "/var/log/libvirt", "/var/log/openvswitch", "/var/log/ovn",
    "/var/log/memcached", "/var/log/uwsgi", "/var/www", "/var/cache/apache2", "/run/uwsgi",
    "/var/run/uwsgi",
)

#: Accounts and groups that its packages make and leave behind.
ACCOUNTS = (
    "uuidd", "messagebus", "memcache", "postgres", "tcpdump", "haproxy", "dnsmasq", "epmd",
    "rabbitmq", "mysql", "libvirt-qemu", "libvirt-dnsmasq", "swtpm", "tss", "polkitd", "uwsgi",
    "openvswitch", "pcp", "_rpc", "statd", "Debian-snmp", "pesign", "radvd",
)
GROUPS = (
    *ACCOUNTS, "input", "sgx", "kvm", "render", "ssl-cert", "rdma", "libvirt", "hugetlbfs",
    "polkitd", "ssl-cert",
)

#: Settings of the host that DevStack edits in their place.
EDITED = (
    "/etc/sudoers", "/etc/systemd/system.conf", "/etc/systemd/journald.conf", "/etc/hosts",
    "/etc/gitconfig", "/etc/rsyslog.conf", "/etc/fstab", "/etc/sysctl.conf", "/etc/modules",
    "/etc/environment", "/etc/security/limits.conf", "/etc/sudoers.d/50_stack_sh",
)

#: KEEP folder files: copies of them; of none that was kept before.
KEEP = r"""
umask 077
if [ -e "$1" ]; then exit 0; fi
rm -rf "$1.new"
mkdir -p "$1.new"
for file in $2; do
    [ -e "$file" ] || continue
    mkdir -p "$1.new$(dirname "$file")"
    cp -a "$file" "$1.new$file"
done
mv "$1.new" "$1"
"""

#: UNDO user home script: as the account, without a terminal, if DevStack came as far as that.
UNDO = r"""
dir=$2/devstack
[ -e "$dir/$3" ] || exit 0
[ -e "$dir/.stackenv" ] || [ -n "$(ls /etc/systemd/system/devstack@*.service 2>/dev/null)" ] ||
    exit 0
cd "$dir"
runuser -u "$1" -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME="$2" USER="$1" LOGNAME="$1" SHELL=/bin/bash TERM=dumb LC_ALL=en_US.UTF-8 \
    timeout -k 10 600 "./$3" </dev/null
"""

#: STOP user all: its services, and with "all" every process of the account.
STOP = DROP_SOCKET + r"""
for unit in $(systemctl list-units --all --plain --no-legend 'devstack@*' | awk '{print $1}'); do
    systemctl kill -s KILL "$unit" 2>/dev/null || :
    systemctl stop "$unit" 2>/dev/null || :
done
find /etc/systemd/system -maxdepth 2 -name 'devstack@*.service' -delete
drop_socket "$1"
if [ -n "$2" ] && id "$1" >/dev/null 2>&1; then
    pkill -KILL -u "$1" || :
    for _ in 1 2 3 4 5 6 7 8 9 10; do pgrep -u "$1" >/dev/null || break; sleep 0.2; done
fi
systemctl daemon-reload
systemctl reset-failed 'devstack@*' 2>/dev/null || :
"""

#: HISTORY user since: every package of an Install that this account has asked for.
HISTORY = r"""
command -v apt-get >/dev/null || exit 0
for log in $(ls -tr /var/log/apt/history.log* 2>/dev/null); do zcat -f "$log"; done |
awk -v user="$1" -v since="$2" '
    /^Start-Date:/ {start = $2 " " $3; ours = 0; list = ""}
    /^Requested-By:/ {ours = ($2 == user && start >= since)}
    /^Install:/ {if (ours) {
        sub("^Install: ", ""); gsub("\\([^)]*\\)", "")
        n = split($0, found, ",")
        for (i = 1; i <= n; i++) {
            sub(":.*", "", found[i]); gsub(" ", "", found[i]); print found[i]
        }
    }}'
"""

#: QUIRKS files: what was made for containers.
QUIRKS = r"""
if [ -e /etc/systemd/system/rdeploy-no-ksm.service ]; then
    systemctl disable -q --now rdeploy-no-ksm.service
fi
for file in $1; do
    rm -f "$file"
    case $file in *.d/*) rmdir "$(dirname "$file")" 2>/dev/null || : ;; esac
done
systemctl daemon-reload
"""

#: RESTORE folder: the edits of ours go out of the host's settings, others' stay.
RESTORE = r"""
kept=$1
[ -d "$kept" ] || exit 0
cd "$kept"
find . -type f | sed 's,^[.],,' | while read -r file; do
    [ -e "$file" ] || continue
    after=$kept.after$file
    [ -e "$after" ] || after=$file
    if cmp -s "$after" "$file" || ! command -v git >/dev/null; then
        cmp -s "$kept$file" "$file" || cp -a "$kept$file" "$file"
    else
        merged=$(mktemp)
        if git merge-file -p -q "$file" "$after" "$kept$file" >"$merged"; then
            cat "$merged" >"$file"
        else
            echo "$file was changed by others too: it stays as it is" >&2
        fi
        rm -f "$merged"
    fi
done
"""

#: CHECKOUT home: moved away first, as a half of it would not tell any more that it is ours.
CHECKOUT = r"""
rm -rf "$1/devstack.rdeploy-old"
if [ -e "$1/devstack" ]; then mv -T "$1/devstack" "$1/devstack.rdeploy-old"; fi
rm -rf --one-file-system "$1/devstack.rdeploy-old" "$1/devstack.rdeploy-new" \
    "$1/.rdeploy-devstack.git"
"""

#: CLEAR folder before after account: what came into it goes, what was there before stays. The
#: account's own goes too; so do folders that DevStack makes as root, if it is not known what came.
CLEAR = r"""
[ -d "$1" ] || exit 0
cd "$1"
for name in * .[!.]* ..?*; do
    if [ ! -e "$name" ] && [ ! -L "$name" ]; then continue; fi
    key=/$(printf %s "$name" | tr '\n' /)/
    case $2 in *"$key"*) continue ;; esac
    case "$3:$4:$(stat -c %U "$name") $name" in
        *"$key"*:*:*) ;;
        *":$4:$4 "*) ;;
        ":$4:root bin" | ":$4:root data" | ":$4:root logs") ;;
        *) continue ;;
    esac
    rm -rf --one-file-system -- "$name"
done
"""

#: ABOVE folders...: those that were not there before us, unless others use them.
ABOVE = r"""
for folder in "$@"; do rmdir "$folder" 2>/dev/null || :; done
"""

#: ACCOUNT user home account mode: with "account" it goes; a home of before is as it was.
ACCOUNT = r"""
if [ -d "$2" ] && [ -n "$4" ]; then
    if [ "$(stat -c %U "$2")" = "$1" ]; then chown "${4#* }" "$2"; fi
    case $(stat -c %a "$2") in *755) chmod "${4% *}" "$2" ;; esac
fi
[ -n "$3" ] || exit 0
if id "$1" >/dev/null 2>&1; then pkill -KILL -u "$1" || :; userdel "$1" || :; fi
if getent group "$1" >/dev/null; then groupdel "$1" || :; fi
"""

#: REMOVE files accounts groups locale kept folders
REMOVE = r"""
# A package that stays may own what was not there before us: somebody installed it since.
owned() { command -v dpkg >/dev/null && dpkg -S "$1" >/dev/null 2>&1; }
for file in $1; do
    if [ -e "$file" ] && ! owned "$file"; then rm -rf --one-file-system "$file"; fi
done
for name in $2; do
    if id "$name" >/dev/null 2>&1; then pkill -KILL -u "$name" || :; userdel "$name" || :; fi
done
for name in $3; do if getent group "$name" >/dev/null; then groupdel "$name" || :; fi; done
if [ -n "$4" ] && command -v localedef >/dev/null; then
    localedef --delete-from-archive en_US.utf8 2>/dev/null || :
fi
for folder in /opt/stack $6; do
    find /usr/local/bin -xtype l -lname "$folder/*" -delete
done
# Links of services that are gone, of none that was broken before.
if [ -d "$5" ]; then find /etc/systemd/system -xtype l -newer "$5" -delete; fi
systemctl daemon-reload
"""

#: FORGET folder state
FORGET = r"""
rm -rf "$1" "$1.after" "$1.new" "$1.files"
rmdir "$(dirname "$1")" "$2/jobs" "$2" 2>/dev/null || :
"""
