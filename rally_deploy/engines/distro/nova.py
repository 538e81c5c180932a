"""Nova: the control plane on the controller, nova-compute on each compute."""

from __future__ import annotations

from typing import Any

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import METADATA_PORT, REGION, Cloud, Node
from rally_deploy.engines.distro.uwsgi import path, uwsgi_file
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.packages import version_of
from rally_deploy.hosts.systemd import Unit

CONFIG = "/etc/nova/nova.conf"
COMPUTE_CONFIG = "/etc/nova/nova-compute.conf"
QEMU_CONFIG = "/etc/libvirt/qemu.conf"
LIBVIRT_CONFIG = "/etc/libvirt/libvirtd.conf"
#: The APIs that are served under uWSGI where the release has it so.
UWSGI_APIS = ("nova-api", "nova-api-metadata")


def files(cloud: Cloud) -> list[File]:
    """The controller's files."""
    node = cloud.controller
    return [
        File(CONFIG, ini.render(_config(cloud, node)), 0o640, "root:nova"),
        *(_patience(unit) for unit in cloud.release.units["nova"]),
        *uwsgi_file(cloud, "nova-api", "nova"),
        *uwsgi_file(cloud, "nova-api-metadata", "nova"),
    ]


def compute_files(cloud: Cloud, node: Node, virt_driver: str) -> list[File]:
    """A compute's files; ``virt_driver`` is fake, qemu or kvm."""
    if virt_driver == "fake":
        driver: dict[str, Any] = {"DEFAULT": {"compute_driver": "fake.FakeDriver"}}
    else:
        driver = {
            "DEFAULT": {"compute_driver": "libvirt.LibvirtDriver"},
            "libvirt": {
                "virt_type": virt_driver,
                "cpu_mode": "none" if virt_driver == "qemu" else "host-model",
            },
        }
    made = [File(COMPUTE_CONFIG, ini.render(driver)), _patience("nova-compute")]
    if not node.has("controller"):
        made.append(File(CONFIG, ini.render(_config(cloud, node)), 0o640, "root:nova"))
    if virt_driver != "fake":
        # Inside a container none of these three is to be had.
        made.append(File(
            QEMU_CONFIG,
            '# Written by rdeploy\nsecurity_driver = "none"\ncgroup_controllers = [ ]\n'
            "namespaces = [ ]\n",
            0o600,
        ))
    return made


def _patience(unit: str) -> File:
    """Systemd ends a service that is not up after 90 s: on a busy machine that is too soon."""
    return File(f"/etc/systemd/system/{unit}.service.d/50-rdeploy.conf",
                "# Written by rdeploy\n[Service]\nTimeoutStartSec=900\n")


def _config(cloud: Cloud, node: Node) -> dict[str, dict[str, Any]]:
    inner = cloud.inner_host(node)
    common: dict[str, dict[str, Any]] = {
        "DEFAULT": {
            "host": node.hostname,
            "my_ip": "127.0.0.1" if cloud.alone else node.address,
            "log_dir": "/var/log/nova",
            "state_path": "/var/lib/nova",
            "enabled_apis": ["osapi_compute", "metadata"],
            "osapi_compute_workers": cloud.workers,
            "metadata_workers": cloud.workers,
            "shutdown_timeout": 5,
            "vif_plugging_timeout": 120,
            "block_device_allocate_retries": 1,
        },
        "api": {"auth_strategy": "keystone"},
        "service_user": {**cloud.user("nova", node), "send_service_user_token": True},
        "glance": {"endpoint_override": cloud.inner_url("glance", node),
                   "region_name": REGION, "num_retries": 3},
        "placement": {**cloud.user("placement", node),
                      "endpoint_override": cloud.inner_url("placement", node)},
        "neutron": {
            **cloud.user("neutron", node),
            "endpoint_override": cloud.inner_url("neutron", node),
            "service_metadata_proxy": True,
            "metadata_proxy_shared_secret": cloud.secret("metadata"),
        },
        "oslo_concurrency": {"lock_path": "/var/lib/nova/tmp"},
        "vnc": {"enabled": False},
        "spice": {"enabled": False},
    }
    sections = ini.merged(
        common, cloud.messaging(node), cloud.authtoken("nova", node),
    )
    if node.has("controller"):
        sections = ini.merged(sections, {
            "database": cloud.database("nova"),
            "api_database": cloud.database("nova_api", "nova"),
            "conductor": {"workers": cloud.workers},
            "scheduler": {"workers": cloud.workers, "discover_hosts_in_cells_interval": 60},
            "wsgi": {"api_paste_config": "/etc/nova/api-paste.ini"},
        })
        sections["DEFAULT"]["metadata_host"] = inner
    return sections


def set_up(cloud: Cloud, job: str) -> None:
    """The tables of the API and of the one cell, and the cell itself."""
    shell = cloud.controller.shell
    once(shell, "nova", """
    install -d -o nova -g nova /var/lib/nova/tmp
    manage() { runuser -u nova -- nova-manage "$@"; }
    manage api_db sync
    manage cell_v2 map_cell0
    cell=$(mysql -N -B -e "SELECT uuid FROM nova_api.cell_mappings WHERE name = 'cell1'")
    if [ -z "$cell" ]; then manage cell_v2 create_cell --name=cell1
    else manage cell_v2 update_cell --cell_uuid "$cell"; fi
    manage db sync
    """, version_of(shell, "nova-api"), job=job, timeout_s=1800)


def discover_hosts(cloud: Cloud) -> None:
    """Make computes that have reported known to the scheduler."""
    cloud.controller.shell.run(
        ["nova-manage", "cell_v2", "discover_hosts"], user="nova", timeout_s=1800)


def api_units(cloud: Cloud) -> list[Unit]:
    units = []
    for name in cloud.release.units["nova"]:
        files = [CONFIG, *([path(name, "nova")] if name in UWSGI_APIS else [])]
        port = {"nova-api": 8774, "nova-api-metadata": METADATA_PORT}.get(name, 0)
        units.append(Unit(name, files, port, log_dir="/var/log/nova"))
    return units


def compute_units(virt_driver: str) -> list[Unit]:
    libvirt = [] if virt_driver == "fake" else [Unit("libvirtd", [QEMU_CONFIG])]
    return [*libvirt,
            Unit("nova-compute", [CONFIG, COMPUTE_CONFIG], log_dir="/var/log/nova")]
