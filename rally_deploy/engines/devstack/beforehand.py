"""What stack.sh installs on every node, whatever is enabled there, and nothing with a service.

From DevStack's ``files/debs`` (general, nova, n-cpu, keystone, neutron): compilers, headers and
tools. A service that a node does not ask for costs each of its clones memory, and one that it asks
for is set up by its package's installation: so these are left to stack.sh. Left out are also
packages that have a small one beside what is wanted of them (uuid-runtime, sysfsutils), and
postgresql-server-dev-all, which has the whole of PostgreSQL's cluster service: only what takes
its time stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rally_deploy.engines.devstack.prepare import PACKAGES as TO_BEGIN
from rally_deploy.hosts.beforehand import ANY_RELEASE

_GENERAL = (
    "apache2-dev", "bc", "bsdmainutils", "build-essential", "curl", "g++", "gawk", "gcc",
    "gettext", "git", "gnupg", "graphviz", "iputils-ping", "libffi-dev", "libjpeg-dev",
    "libpq-dev", "libssl-dev", "libsystemd-dev", "libxml2-dev", "libxslt1-dev", "libyaml-dev",
    "lsof", "make", "openssl", "pkg-config", "psmisc", "python3-dev", "python3-pip",
    "python3-systemd", "python3-venv", "tar", "tcpdump", "unzip", "wget", "zlib1g-dev",
)
_NOVA = (
    "conntrack", "cryptsetup", "dosfstools", "ebtables", "genisoimage", "gir1.2-libosinfo-1.0",
    "iptables", "iputils-arping", "kpartx", "libjs-jquery-tablesorter", "lsscsi",
    "netcat-openbsd", "parted", "pm-utils", "python3-mysqldb", "qemu-utils", "sg3-utils", "socat",
    "sqlite3", "vlan",
)
_KEYSTONE = ("libkrb5-dev", "libldap2-dev", "libsasl2-dev")
_NEUTRON = ("acl", "dnsmasq-base", "dnsmasq-utils", "ipset")

#: For :meth:`DeployEngine.packages_beforehand`.
PACKAGES: Mapping[str, Sequence[str]] = {
    ANY_RELEASE: (*TO_BEGIN, *_GENERAL, *_NOVA, *_KEYSTONE, *_NEUTRON),
    # The greater part of postgresql-server-dev-all.
    "debian 12": ("clang-14", "llvm-14-dev"),
}
