"""A real DevStack with Cinder, TLS and a CA of its own, in a container: what its config needs.

A container has no iSCSI and no LVM, so volumes are files of Cinder's NFS driver. The kernel need
not have NFS: the mount's helper binds the export, which is a folder of the same container. Nova's
fake driver attaches nothing, but all of Cinder's and Nova's APIs is real. Neutron binds ports
where it has seen an agent; a row in its table says that it has, as no agent runs without OVS.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from tests.functional import devstack_repos
from tests.functional.conftest import Rdeploy
from tests.functional.openstack_client import Cloud
from tests.functional.test_devstack_real import config as whole_node

#: "HOME NAME" of such a cloud that is there already, for work on the tests: it is used and stays.
STANDING = os.environ.get("RDEPLOY_TEST_DEVSTACK", "")

#: What the image begins with.
MARK = "an image of rdeploy's tests"

EXPORT = "/opt/stack/volumes"
_AGENT = "/opt/stack/fake_agent.py"

#: mount -t nfs HOST:EXPORT FOLDER ends here.
_MOUNT_NFS = """#!/bin/sh
mkdir -p "${1#*:}"
exec mount --bind "${1#*:}" "$2"
"""

#: fake_agent.py HOST: an agent of ML2's openvswitch driver on it, alive for good.
_FAKE_AGENT = '''
import configparser, json, sys, uuid
import sqlalchemy

conf = configparser.RawConfigParser(strict=False)
conf.read("/etc/neutron/neutron.conf")
row = {
    "id": str(uuid.uuid4()), "agent_type": "Open vSwitch agent",
    "binary": "neutron-openvswitch-agent", "topic": "N/A", "host": sys.argv[1],
    "admin_state_up": True, "created_at": "2020-01-01", "started_at": "2020-01-01",
    "heartbeat_timestamp": "2099-01-01", "load": 0,
    "configurations": json.dumps({"tunnel_types": ["vxlan"], "bridge_mappings": {}}),
}
names = ", ".join(f"`{name}`" for name in row)
values = ", ".join(f":{name}" for name in row)
with sqlalchemy.create_engine(conf["database"]["connection"]).begin() as link:
    link.execute(sqlalchemy.text(f"REPLACE INTO agents ({names}) VALUES ({values})"), row)
'''


def config(git_base, image):
    node = whole_node(git_base, image, **{
        "ENABLED_SERVICES+": ",tls-proxy,c-api,c-sch,c-vol",
        "CINDER_ENABLED_BACKENDS": "nfs:nfs",
        "CINDER_IMG_CACHE_ENABLED": "False",
        # Of the helpers for targets this one installs nothing and starts nothing.
        "CINDER_TARGET_HELPER": "fake",
        "NFS_EXPORT_DIR": EXPORT,
        "NFS_SECURE_FILE_OPERATIONS": "False",
        "NFS_SECURE_FILE_PERMISSIONS": "False",
        "Q_ML2_PLUGIN_MECHANISM_DRIVERS": "openvswitch",
    })
    node["files"] += [
        {"content": _MOUNT_NFS, "to": "/sbin/mount.nfs", "mode": "0755"},
        {"content": _FAKE_AGENT, "to": _AGENT},
    ]
    return node


@contextmanager
def standing_or_made(folder):
    """The cloud, by the ``openstack`` client; one that was made leaves nothing on the machine."""
    if STANDING:
        home, name = STANDING.split()
        yield Cloud(Rdeploy(home), name)
        return
    devstack_repos.need("cinder")
    rdeploy, image = Rdeploy(folder / "home"), folder / "guest.img"
    image.write_bytes(MARK.encode().ljust(1 << 20, b"\0"))
    with devstack_repos.Served(devstack_repos.mirror()) as git_base:
        file = rdeploy.config("node", config(git_base, image))
        try:
            rdeploy("create", "--name", "node", "--file", file, timeout=3000)
            yield Cloud(rdeploy, "node")
        finally:
            rdeploy("destroy", "node", "--yes", timeout=600)
    assert rdeploy.left_over() == []


def give_network(cloud):
    """A network for servers, with an agent on each of Nova's hosts; what is there stays."""
    for host in cloud.hypervisors():
        in_node(cloud, "/opt/stack/data/venv/bin/python", _AGENT, host)
    if "private" not in {network["Name"] for network in cloud.json("network", "list")}:
        cloud("network", "create", "private")
        cloud("subnet", "create", "--network", "private", "--no-dhcp",
              "--subnet-range", "10.1.0.0/24", "private")


def in_node(cloud, *words):
    """What a command prints on the cloud's one machine."""
    server, = cloud.rdeploy.json("show", cloud.name)["servers"]
    return cloud.rdeploy("ssh", cloud.name, server["name"], "--", *words).stdout
