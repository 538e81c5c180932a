"""What differs between distributions: the only place that knows their package and unit names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Release:
    """One release of a distribution and the OpenStack in it.

    ``wsgi`` names the file of each API that runs under uWSGI with an ini file of ours; an API that
    is not in it runs on its own or under Apache, as the package set it up.
    """

    id: str
    version: str
    title: str
    openstack: str
    packages: Mapping[str, tuple[str, ...]]
    units: Mapping[str, tuple[str, ...]]
    wsgi: Mapping[str, str] = field(default_factory=dict)
    linuxbridge_experimental: bool = True
    libvirt_driver: str = "nova-compute-kvm"
    fake_driver: str = "nova-compute-kvm"
    guest_kernel: str = "linux-image-cloud-amd64"


_BASE = ("dbus", "procps", "iproute2", "iputils-ping", "libnss-myhostname", "python3")
_NETWORK = (
    "neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent",
    "neutron-metadata-agent", "ebtables", "ipset", "iptables", "ethtool", "bridge-utils",
)

#: Packages per part of the cloud; the database and the broker have the same names everywhere.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "base": _BASE,
    "infra": ("mariadb-server", "rabbitmq-server", "memcached", "python3-memcache",
              "python3-pymysql"),
    "keystone": ("keystone",),
    "glance": ("glance-api",),
    "placement": ("placement-api",),
    "nova": ("nova-api", "nova-conductor", "nova-scheduler"),
    "neutron": ("neutron-server",),
    "network": _NETWORK,
    "compute": ("nova-compute", "neutron-linuxbridge-agent", "ebtables", "ipset", "iptables",
                "ethtool", "bridge-utils"),
}

_AGENTS: Mapping[str, tuple[str, ...]] = {
    "network": ("neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent",
                "neutron-metadata-agent"),
    "compute": ("neutron-linuxbridge-agent", "nova-compute"),
}

_DEBIAN_12 = Release(
    "debian", "12", "Debian 12 (bookworm)", "Zed",
    packages=_PACKAGES,
    units={
        "keystone": ("keystone",),
        "glance": ("glance-api",),
        "placement": ("placement-api",),
        "nova": ("nova-api", "nova-api-metadata", "nova-conductor", "nova-scheduler"),
        "neutron": ("neutron-api", "neutron-rpc-server"),
        **_AGENTS,
    },
    wsgi={
        "keystone": "/usr/bin/keystone-wsgi-public",
        "glance-api": "/usr/bin/glance-wsgi-api",
        "placement-api": "/usr/bin/placement-api",
        "nova-api": "/usr/bin/nova-api-wsgi",
        "nova-api-metadata": "/usr/bin/nova-metadata-wsgi",
        "neutron-api": "/usr/bin/neutron-api",
    },
    fake_driver="nova-compute-ironic",
)

_UBUNTU_UNITS: Mapping[str, tuple[str, ...]] = {
    "keystone": ("apache2",),
    "glance": ("glance-api",),
    "placement": ("apache2",),
    "nova": ("nova-api", "nova-conductor", "nova-scheduler"),
    "neutron": ("neutron-server",),
    **_AGENTS,
}


def _ubuntu(version: str, name: str, openstack: str, experimental: bool) -> Release:
    return Release(
        "ubuntu", version, f"Ubuntu {version} ({name})", openstack, _PACKAGES, _UBUNTU_UNITS,
        linuxbridge_experimental=experimental, guest_kernel="linux-image-virtual",
    )


#: linuxbridge ended with OpenStack 2025.1, so releases with that or a later one are not here.
SUPPORTED = (
    _DEBIAN_12,
    _ubuntu("22.04", "jammy", "Yoga", experimental=False),
    _ubuntu("24.04", "noble", "Caracal", experimental=True),
)


def find(distribution: str, version: str) -> Release | None:
    """The release with these ID and VERSION_ID of os-release, None if it is not supported."""
    return next(
        (r for r in SUPPORTED if r.id == distribution and r.version == version), None
    )


def supported_text() -> str:
    return ", ".join(f"{r.title}: OpenStack {r.openstack}" for r in SUPPORTED)
