"""Glance: images, kept as files on the controller."""

from __future__ import annotations

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import Cloud
from rally_deploy.engines.distro.uwsgi import path, uwsgi_file
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.packages import version_of
from rally_deploy.hosts.systemd import Unit

CONFIG = "/etc/glance/glance-api.conf"


def files(cloud: Cloud) -> list[File]:
    text = ini.render(ini.merged(
        {
            "DEFAULT": {"log_dir": "/var/log/glance", "workers": cloud.workers,
                        "enabled_backends": "file:file"},
            "database": cloud.database("glance"),
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": "/var/lib/glance/images"},
            "paste_deploy": {"flavor": "keystone"},
            "oslo_messaging_notifications": {"driver": "noop"},
        },
        cloud.authtoken("glance", cloud.controller),
    ))
    return [
        File(CONFIG, text, 0o640, "root:glance"),
        *uwsgi_file(cloud, "glance-api", "glance", chunked=True),
    ]


def set_up(cloud: Cloud, job: str) -> None:
    """The tables, and the folder of the images."""
    shell = cloud.controller.shell
    once(shell, "glance", """
    install -d -o glance -g glance -m 750 /var/lib/glance/images
    runuser -u glance -- glance-manage db_sync
    """, version_of(shell, "glance-api"), job=job, timeout_s=1800)


def api_units(cloud: Cloud) -> list[Unit]:
    return [
        Unit("glance-api", [CONFIG, path("glance-api", "glance")], 9292,
             log_dir="/var/log/glance")
    ]
