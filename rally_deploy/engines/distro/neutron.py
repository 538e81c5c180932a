"""Neutron: ML2 with linuxbridge, VXLAN for tenants, one flat external network on br-ex."""

from __future__ import annotations

from typing import Any

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.bridges import EXTERNAL_BRIDGE, TUNNEL_ADDRESS
from rally_deploy.engines.distro.cloud import REGION, Cloud, Node
from rally_deploy.engines.distro.uwsgi import path, uwsgi_file
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.packages import version_of
from rally_deploy.hosts.systemd import Unit

CONFIG = "/etc/neutron/neutron.conf"
ML2 = "/etc/neutron/plugins/ml2/ml2_conf.ini"
LINUXBRIDGE = "/etc/neutron/plugins/ml2/linuxbridge_agent.ini"
L3, DHCP, METADATA = (f"/etc/neutron/{name}_agent.ini" for name in ("l3", "dhcp", "metadata"))

_AGENT_FILES = {
    "neutron-linuxbridge-agent": LINUXBRIDGE,
    "neutron-l3-agent": L3,
    "neutron-dhcp-agent": DHCP,
    "neutron-metadata-agent": METADATA,
}


def files(cloud: Cloud) -> list[File]:
    """The files of the API on the controller."""
    return [
        _main(cloud, cloud.controller),
        File(ML2, ini.render(_ml2()), 0o644),
        *uwsgi_file(cloud, "neutron-api", "neutron", paste="/etc/neutron/api-paste.ini"),
    ]


def agent_files(cloud: Cloud, node: Node) -> list[File]:
    """The files of the agents of a node, whichever it has."""
    nova = cloud.inner_host(node)
    made = [
        File(LINUXBRIDGE, ini.render({
            "linux_bridge": {
                "bridge_mappings":
                    f"public:{EXTERNAL_BRIDGE}" if node.has("controller") else None,
            },
            "vxlan": {
                "enable_vxlan": True, "l2_population": True,
                "local_ip": TUNNEL_ADDRESS if cloud.alone else node.address,
            },
            "securitygroup": {"enable_security_group": True, "firewall_driver": "iptables"},
        })),
    ]
    if node.has("controller"):
        made += [
            File(L3, ini.render({"DEFAULT": {"interface_driver": "linuxbridge"}})),
            File(DHCP, ini.render({"DEFAULT": {
                "interface_driver": "linuxbridge", "enable_isolated_metadata": True,
            }})),
            File(METADATA, ini.render({"DEFAULT": {
                "nova_metadata_host": nova,
                "metadata_proxy_shared_secret": cloud.secret("metadata"),
                "metadata_workers": cloud.workers,
            }}), 0o640, "root:neutron"),
        ]
    else:
        made += [_main(cloud, node), File(ML2, ini.render(_ml2()))]
    return made


def _ml2() -> dict[str, dict[str, Any]]:
    return {
        "ml2": {
            "type_drivers": ["flat", "vxlan"],
            "tenant_network_types": "vxlan",
            "mechanism_drivers": ["linuxbridge", "l2population"],
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "public"},
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
    }


def _main(cloud: Cloud, node: Node) -> File:
    sections: dict[str, dict[str, Any]] = ini.merged(
        {
            "DEFAULT": {
                "host": node.hostname,
                "core_plugin": "ml2",
                "service_plugins": "router",
                "auth_strategy": "keystone",
                "log_dir": "/var/log/neutron",
                "state_path": "/var/lib/neutron",
                "api_workers": cloud.workers,
                "rpc_workers": cloud.workers,
                "rpc_state_report_workers": 0,
                "notify_nova_on_port_status_changes": True,
                "notify_nova_on_port_data_changes": True,
                "agent_down_time": 90,
            },
            "agent": {
                "root_helper": "sudo /usr/bin/neutron-rootwrap /etc/neutron/rootwrap.conf",
                "root_helper_daemon":
                    "sudo /usr/bin/neutron-rootwrap-daemon /etc/neutron/rootwrap.conf",
            },
            "oslo_concurrency": {"lock_path": "/var/lib/neutron/tmp"},
        },
        {"experimental": {"linuxbridge": True}} if node.release.linuxbridge_experimental else {},
        cloud.messaging(node),
        cloud.authtoken("neutron", node),
    )
    if node.has("controller"):
        sections["database"] = cloud.database("neutron")
        sections["nova"] = {
            **cloud.user("nova", node), "region_name": REGION,
            "endpoint_override": cloud.inner_url("nova", node),
        }
        sections["placement"] = {
            **cloud.user("placement", node),
            "endpoint_override": cloud.inner_url("placement", node),
        }
    return File(CONFIG, ini.render(sections), 0o640, "root:neutron")


def set_up(cloud: Cloud, job: str) -> None:
    """The tables."""
    shell = cloud.controller.shell
    once(shell, "neutron", f"""
    install -d -o neutron -g neutron /var/lib/neutron/tmp
    runuser -u neutron -- neutron-db-manage --config-file {CONFIG} --config-file {ML2} upgrade head
    """, version_of(shell, "neutron-server"), job=job, timeout_s=1800)


def api_units(cloud: Cloud) -> list[Unit]:
    units = []
    for name in cloud.release.units["neutron"]:
        files = [CONFIG, ML2, *([path(name, "neutron")] if name == "neutron-api" else [])]
        port = 9696 if name in ("neutron-api", "neutron-server") else 0
        units.append(Unit(name, files, port, log_dir="/var/log/neutron"))
    return units


def agent_units(cloud: Cloud, node: Node) -> list[Unit]:
    part = "network" if node.has("controller") else "compute"
    return [
        Unit(name, [CONFIG, ML2, _AGENT_FILES[name]], log_dir="/var/log/neutron")
        for name in node.release.units[part] if name in _AGENT_FILES
    ]
