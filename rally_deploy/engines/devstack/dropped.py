"""Variables and services that DevStack once had, what became of them, what to write instead.

As of stable/2025.1 to stable/2026.1: not one of these names is read by DevStack any more.
"""

from __future__ import annotations

import re

_SCREEN = "the services run under systemd: look with 'journalctl -u devstack@SERVICE'"
_NOVA_NETWORK = "nova-network is gone, Neutron makes the networks"
_RANGE = f"{_NOVA_NETWORK}: FIXED_RANGE, FLOATING_RANGE and PUBLIC_INTERFACE are Neutron's"
_SPLIT_WSGI = "the APIs always run under uwsgi"

#: Variables that have no effect: they are left out, with a warning that says this.
VARIABLES: dict[str, str] = {
    "SCREEN_LOGDIR": f"{_SCREEN}; LOGDIR is where DevStack's own logs go",
    "USE_SCREEN": _SCREEN,
    "SCREEN_NAME": _SCREEN,
    "SCREEN_HARDSTATUS": _SCREEN,
    "SCREEN_IS_LOGGING": _SCREEN,
    "SCREEN_DEV": _SCREEN,
    "USE_SYSTEMD": "the services always run under systemd",
    "API_RATE_LIMIT": "Nova's API has no rate limit of its own any more: nothing to write instead",
    "SERVICE_TOKEN": "Keystone has no admin token any more: ADMIN_PASSWORD is all that is needed",
    "SERVICE_ENDPOINT": "Keystone is bootstrapped without it: nothing to write instead",
    "ENABLE_IDENTITY_V2": "Keystone has only its v3 API",
    "IDENTITY_API_VERSION": "Keystone has only its v3 API",
    "KEYSTONE_AUTH_PORT": "there is one port and path for all of Keystone: /identity",
    "KEYSTONE_AUTH_PROTOCOL": "set SERVICE_PROTOCOL",
    "KEYSTONE_CATALOG_BACKEND": "the catalog is in the database",
    "KEYSTONE_TOKEN_BACKEND": "tokens are not stored: KEYSTONE_TOKEN_FORMAT says which they are",
    "KEYSTONE_USE_MOD_WSGI": _SPLIT_WSGI,
    "NOVA_USE_MOD_WSGI": _SPLIT_WSGI,
    "CINDER_USE_MOD_WSGI": _SPLIT_WSGI,
    "GLANCE_USE_MOD_WSGI": _SPLIT_WSGI,
    "GLANCE_V1_ENABLED": "Glance has only its v2 API",
    "USE_PYTHON3": "there is only Python 3",
    "USE_SSL": "enable the service tls-proxy",
    "FLAT_INTERFACE": _RANGE,
    "FLAT_NETWORK_BRIDGE": _RANGE,
    "VLAN_INTERFACE": _RANGE,
    "NETWORK_MANAGER": _RANGE,
    "FIXED_NETWORK_SIZE": f"{_NOVA_NETWORK}: FIXED_RANGE says the size",
    "TEST_FLOATING_POOL": _NOVA_NETWORK,
    "TEST_FLOATING_RANGE": _NOVA_NETWORK,
    "NOVA_NETWORK": _NOVA_NETWORK,
    "EC2_DMZ_HOST": "Nova's EC2 API is gone",
    "EXTRA_OPTS": 'write a section of its own: "[[post-config|$NOVA_CONF]]"',
    "EXTRA_FLAGS": 'write a section of its own: "[[post-config|$NOVA_CONF]]"',
    "LB_PHYSICAL_INTERFACE": "Neutron's Linux bridge agent is gone: Q_AGENT ovn or openvswitch",
    "EBTABLES_RACE_FIX": "nothing to write instead",
    "TENANT_TUNNEL_RANGE": "it is called TENANT_TUNNEL_RANGES",
    "Q_USE_DEBUG_COMMAND": "nothing to write instead",
    "Q_USE_NAMESPACE": "Neutron always uses namespaces",
    "VOLUME_GROUP": "it is called VOLUME_GROUP_NAME",
    "CINDER_SECURE_DELETE": "set CINDER_VOLUME_CLEAR (none, zero)",
    "SKIP_EXERCISES": "the exercises are gone; tempest is the test",
    "TERMINATE_TIMEOUT": "the exercises are gone; tempest is the test",
}

#: Values of living variables that are gone: DevStack would fail, or leave a part out silently.
VALUES: dict[str, dict[str, str]] = {
    "Q_AGENT": {"linuxbridge": "Neutron's Linux bridge agent is gone: ovn or openvswitch"},
    "Q_PLUGIN": {
        "linuxbridge": "write ml2, and Q_AGENT ovn or openvswitch",
        "openvswitch": "write ml2, and Q_AGENT openvswitch",
    },
    "KEYSTONE_TOKEN_FORMAT": dict.fromkeys(
        ("UUID", "uuid", "PKI", "PKIZ"), "Keystone has fernet and jws tokens only"),
    "VIRT_DRIVER": dict.fromkeys(
        ("docker", "xenserver", "xenapi", "openvz", "hyperv", "powervm"),
        "Nova has that driver no more: libvirt, fake, ironic or vsphere"),
}

_PLUGIN = "it comes with a plugin today: add ENABLE_PLUGIN '{0} https://opendev.org/openstack/{0}'"

#: Services that are gone from DevStack: they are left out, with a warning that says this.
SERVICES: dict[str, str] = {
    "n-net": f"{_NOVA_NETWORK}; a compute needs nothing in its place with VIRT_DRIVER=fake, "
             "else ovn-controller,ovs-vswitchd,ovsdb-server,q-ovn-metadata-agent",
    "n-obj": "use Swift: s-proxy,s-object,s-container,s-account",
    "n-cauth": "console tokens are kept in Nova's database: n-novnc is enough",
    "n-crt": "Nova's certificates are gone",
    "n-cert": "Nova's certificates are gone",
    "n-xvnc": "use n-novnc",
    "n-novncproxy": "it is called n-novnc",
    "n-vol": "Cinder has the volumes: c-api,c-sch,c-vol",
    "n-cell": "cells v2 are always there",
    "n-cell-region": "cells v2 are always there",
    "n-cell-child": "cells v2 are always there",
    "g-reg": "Glance has no registry any more: g-api is enough",
    "g-search": "Glance has no search service any more",
    "quantum": "it is called Neutron: q-svc",
    "q-lbaas": "neutron-lbaas is gone: use Octavia's plugin",
    "q-lbaasv2": "neutron-lbaas is gone: use Octavia's plugin",
    "zeromq": "use rabbit",
    "qpid": "use rabbit",
    "zookeeper": "use etcd3",
    "screen": _SCREEN,
}

#: Beginnings of services that left for a plugin of their own -> that plugin.
_PLUGINS = {
    "h-": "heat", "heat": "heat", "tr-": "trove", "trove": "trove", "ir-": "ironic",
    "ironic": "ironic", "ceilometer": "ceilometer", "zaqar": "zaqar", "marconi": "zaqar",
    "q-fwaas": "neutron-fwaas", "q-vpn": "neutron-vpnaas",
}


def service_advice(service: str, plugins: frozenset[str] = frozenset()) -> str:
    """What to write instead of a service that DevStack itself does not know; empty if it does.

    :param plugins: the names of the plugins that are enabled.
    """
    if service in SERVICES:
        return SERVICES[service]
    for beginning, plugin in _PLUGINS.items():
        if service.startswith(beginning) and plugin not in plugins:
            return _PLUGIN.format(plugin)
    return ""


def signed_services(value: str) -> list[str]:
    """The services of an ENABLED_SERVICES as they stand there: ``,-n-cpu`` names -n-cpu."""
    return [name for name in re.split(r"[,\s]+", value.strip("\"'")) if name]


def services_of(value: str) -> list[str]:
    """The services of an ENABLED_SERVICES without their signs: ``,-n-cpu`` names n-cpu."""
    return [name.lstrip("-") for name in signed_services(value)]


def without_services(value: str) -> str:
    """An ENABLED_SERVICES without those that are gone; as it is written if none of them is."""
    if not any(name in SERVICES for name in services_of(value)):
        return value
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    # What is left of ",x" begins with an empty name, so that its comma stays.
    names = [
        name for name in re.split(r"[,\s]+", value.strip(quote or " "))
        if name.lstrip("-") not in SERVICES
    ]
    return quote + ",".join(names) + quote
