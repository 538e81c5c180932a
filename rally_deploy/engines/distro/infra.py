"""What the services stand on: MariaDB, RabbitMQ, memcached."""

from __future__ import annotations

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import Cloud
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.systemd import Unit, start, wait_up

MARIADB_CONFIG = "/etc/mysql/mariadb.conf.d/90-rdeploy.cnf"
RABBIT_ENVIRONMENT = "/etc/rabbitmq/rabbitmq-env.conf"
RABBIT_CONFIG = "/etc/rabbitmq/rabbitmq.conf"

#: Service -> its databases. The first is also the name of its database user.
DATABASES = {
    "keystone": ("keystone",),
    "glance": ("glance",),
    "placement": ("placement",),
    "nova": ("nova", "nova_api", "nova_cell0"),
    "neutron": ("neutron",),
}


def units() -> list[Unit]:
    return [
        Unit("mariadb", [MARIADB_CONFIG], 3306, http=False),
        Unit("rabbitmq-server", [RABBIT_ENVIRONMENT, RABBIT_CONFIG], 5672, http=False,
             log_dir="/var/log/rabbitmq"),
        Unit("memcached", [], 11211, http=False),
    ]


def files(cloud: Cloud) -> list[File]:
    """Small, local, and quick rather than safe from power cuts: a deployment can be made again."""
    listen = "127.0.0.1" if cloud.alone else "0.0.0.0"
    return [
        File(MARIADB_CONFIG, ini.render({"mysqld": {
            "bind-address": "127.0.0.1",
            "max_connections": 500,
            "innodb_buffer_pool_size": "128M",
            "innodb_flush_log_at_trx_commit": 0,
            "character-set-server": "utf8mb3",
            "collation-server": "utf8mb3_general_ci",
            "performance_schema": "off",
        }}, escape=False)),
        # Its data folder hangs on the node's name, so that must not be the host's.
        File(RABBIT_ENVIRONMENT, "# Written by rdeploy\nNODENAME=rabbit@localhost\n"
             f"NODE_IP_ADDRESS={listen}\n"
             "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 2:2 +sbwt none'\n"),
        File(RABBIT_CONFIG, "# Written by rdeploy\nloopback_users.guest = true\n"
             "vm_memory_high_watermark.relative = 0.3\ndisk_free_limit.absolute = 50MB\n"),
    ]


def start_all(cloud: Cloud) -> None:
    """Start them and wait until each takes connections."""
    shell = cloud.controller.shell
    start(shell, units())
    for unit in units():
        wait_up(shell, unit)


def make_databases(cloud: Cloud) -> None:
    """The databases and their users; the password goes by stdin."""
    password = cloud.secret("database").replace("\\", "\\\\").replace("'", "\\'")
    lines = []
    for service, names in DATABASES.items():
        if not cloud.has(service):
            continue
        user = f"'{service}'@'localhost'"
        lines += [f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;" for name in names]
        lines += [
            f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}';",
            f"ALTER USER {user} IDENTIFIED BY '{password}';",
            *(f"GRANT ALL ON {name}.* TO {user};" for name in names),
        ]
    cloud.controller.shell.run(["mysql", "--batch"], stdin="\n".join(lines) + "\n")


def make_broker_user(cloud: Cloud) -> None:
    """The one user of the broker; its password is read by rabbitmqctl from its stdin."""
    password = cloud.secret("rabbit").replace("'", "'\\''")
    once(cloud.controller.shell, "rabbit-user", f"""
    if rabbitmqctl -q list_users | cut -f1 | grep -qx openstack; then command=change_password
    else command=add_user; fi
    printf '%s\\n' '{password}' | rabbitmqctl -q "$command" openstack
    rabbitmqctl -q set_permissions openstack '.*' '.*' '.*'
    """)
