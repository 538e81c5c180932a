"""Placement: what each compute has and what of it is taken."""

from __future__ import annotations

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import Cloud
from rally_deploy.engines.distro.uwsgi import path, uwsgi_file
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.packages import version_of
from rally_deploy.hosts.systemd import Unit

CONFIG = "/etc/placement/placement.conf"


def files(cloud: Cloud) -> list[File]:
    text = ini.render(ini.merged(
        {
            "DEFAULT": {"log_dir": "/var/log/placement"},
            "placement_database": cloud.database("placement"),
            "api": {"auth_strategy": "keystone"},
        },
        cloud.authtoken("placement", cloud.controller),
    ))
    return [
        File(CONFIG, text, 0o640, "root:placement"),
        *uwsgi_file(cloud, "placement-api", "placement", chunked=True),
    ]


def set_up(cloud: Cloud, job: str) -> None:
    """The tables."""
    shell = cloud.controller.shell
    once(shell, "placement", "runuser -u placement -- placement-manage db sync",
         version_of(shell, "placement-api"), job=job, timeout_s=1800)


def api_units(cloud: Cloud) -> list[Unit]:
    name = cloud.release.units["placement"][0]
    return [
        Unit(name, [CONFIG, path("placement-api", "placement")], 8778,
             log_dir="/var/log/placement")
    ]
