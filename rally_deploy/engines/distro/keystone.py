"""Keystone: identity, and the catalog of all other services."""

from __future__ import annotations

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import APIS, REGION, Cloud
from rally_deploy.engines.distro.uwsgi import path, uwsgi_file
from rally_deploy.hosts.cloud_client import Call
from rally_deploy.hosts.files import File, once
from rally_deploy.hosts.packages import version_of
from rally_deploy.hosts.systemd import Unit

CONFIG = "/etc/keystone/keystone.conf"


def files(cloud: Cloud) -> list[File]:
    text = ini.render({
        "DEFAULT": {"log_dir": "/var/log/keystone"},
        "database": cloud.database("keystone"),
        "token": {"provider": "fernet", "expiration": 86400},
        "cache": {
            "enabled": True, "backend": "dogpile.cache.memcached",
            "memcache_servers": "127.0.0.1:11211",
        },
        "oslo_messaging_notifications": {"driver": "noop"},
    })
    return [
        File(CONFIG, text, 0o640, "root:keystone"),
        *uwsgi_file(cloud, "keystone", "keystone"),
    ]


def set_up(cloud: Cloud, job: str) -> None:
    """The tables, the keys, the first admin and the identity service's own endpoints."""
    shell = cloud.controller.shell
    public, inner = cloud.public_url("keystone"), cloud.inner_url("keystone", cloud.controller)
    version = version_of(shell, "keystone")
    once(shell, "keystone", "runuser -u keystone -- keystone-manage db_sync", version, job=job,
         timeout_s=1800)
    # No job, whose text is a file while it runs: the password goes by stdin and lies nowhere.
    once(shell, "keystone-bootstrap", f"""
    # What fernet_setup and credential_setup of keystone-manage do, without two slow starts.
    for kind in fernet credential; do
        install -d -o keystone -g keystone -m 700 /etc/keystone/$kind-keys
        for number in 0 1; do
            key=/etc/keystone/$kind-keys/$number
            [ ! -s $key ] || continue
            (umask 077; head -c 32 /dev/urandom | base64 | tr '+/' '-_' >$key.new)
            chown keystone:keystone $key.new
            mv $key.new $key
        done
    done
    OS_BOOTSTRAP_PASSWORD={_quoted(cloud.secret("admin"))}
    export OS_BOOTSTRAP_PASSWORD
    runuser -u keystone -- keystone-manage bootstrap --bootstrap-region-id {REGION} \\
        --bootstrap-public-url {public} --bootstrap-internal-url {inner} \\
        --bootstrap-admin-url {inner}
    """, version, timeout_s=1800)


def catalog_calls(cloud: Cloud) -> list[Call]:
    """The users, services and endpoints of everything but Keystone itself."""
    others = [s for s in APIS if cloud.has(s) and s != "keystone"]
    return [
        Call("ensure_service_users", {"names": others, "password": cloud.secret("service")}),
        Call("ensure_catalog", {
            "region": REGION,
            "services": [
                {
                    "name": service, "type": APIS[service][0],
                    "public": cloud.public_url(service),
                    "internal": cloud.inner_url(service, cloud.controller)
                    if cloud.alone else cloud.public_url(service),
                }
                for service in others
            ],
        }),
    ]


def unit(cloud: Cloud) -> Unit:
    return Unit(cloud.release.units["keystone"][0], [CONFIG, path("keystone", "keystone")], 5000,
                log_dir="/var/log/keystone")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
