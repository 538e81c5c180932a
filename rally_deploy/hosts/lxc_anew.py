"""What packages make up at their installation for one server alone, and each clone needs anew.

In a base container such a file is there without its secret, and a clone whose base has one like
that gets its own before its first start; a clone of a deployed container keeps what that one has.
"""

from __future__ import annotations

_COOKIE = "var/lib/rabbitmq/.erlang.cookie"
_INITIATOR = "etc/iscsi/initiatorname.iscsi"
_SSL_KEY, _SSL_CERTIFICATE = "etc/ssl/private/ssl-cert-snakeoil.key", \
    "etc/ssl/certs/ssl-cert-snakeoil.pem"

#: In a base container's making: ``$root`` is its root.
TAKE_OUT = f"""
for file in {_COOKIE} {_SSL_KEY}; do
    if [ -e "$root/$file" ]; then : >"$root/$file"; fi
done
# What its own daemon makes a name of, if nobody does before.
if [ -e "$root/{_INITIATOR}" ]; then echo GenerateName=yes >"$root/{_INITIATOR}"; fi
if [ -e "$root/var/lib/dbus/machine-id" ]; then
    ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
fi
rm -f "$root"/etc/ssh/ssh_host_*key*
: >"$root/etc/machine-id"
"""

#: In a clone's making: ``$of`` is its base's root, ``$files`` takes what goes into the clone.
MAKE_ANEW = f"""
empty_in_base() {{ [ -e "$of/$1" ] && [ ! -s "$of/$1" ]; }}
# Closed before there is anything in it, and its owner's as in the base.
own() {{
    mkdir -p "$files/${{1%/*}}"
    (umask 077; : >"$files/$1")
    chown --reference="$of/$1" "$files/$1"
    chmod --reference="$of/$1" "$files/$1"
    cat >"$files/$1"
}}
if empty_in_base {_COOKIE}; then openssl rand -hex 32 | own {_COOKIE}; fi
if grep -qs '^GenerateName=yes' "$of/{_INITIATOR}"; then
    echo "InitiatorName=iqn.1993-08.org.debian:01:$(openssl rand -hex 6)" | own {_INITIATOR}
fi
if empty_in_base {_SSL_KEY}; then
    made=$(openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$hostname" \\
        -keyout /dev/stdout 2>/dev/null)
    echo "$made" | sed -n '/BEGIN.*KEY/,/END.*KEY/p' | own {_SSL_KEY}
    echo "$made" | sed -n '/BEGIN CERT/,/END CERT/p' | own {_SSL_CERTIFICATE}
fi
"""
