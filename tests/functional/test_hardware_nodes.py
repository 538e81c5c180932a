"""Several hosts: containers in networks of their own on each, tunnels, jumps and forwards."""

import ipaddress

import pytest

from rally_deploy.errors import HostError, LeftOver
from tests.functional import lxc_rig
from tests.functional.conftest import need
from tests.functional.hardware_nodes import hardware_nodes
from tests.functional.sshd_hosts import sh

pytestmark = [
    pytest.mark.functional, pytest.mark.usefixtures("lxc", "sshd"),
    pytest.mark.xdist_group("machine"),
]


class Notes:
    """A watcher that keeps the notes."""

    def __init__(self):
        self.notes = []

    def event(self, event):
        if str(event.kind) == "note":
            self.notes.append(event.title)

    def output(self, output):
        pass


@pytest.fixture
def nodes():
    lxc_rig.make_base()
    with hardware_nodes(3) as nodes:
        yield nodes
    names = [node.name for node in nodes]
    assert not [n for n in names if n in sh("ip", "netns")]
    assert "rdtnodes" not in sh("ip", "-o", "link")


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def rig(tmp_path, notes):
    with lxc_rig.deployer(tmp_path / "rig", notes) as rig:
        yield rig


def created(rig, nodes, **keys):
    deployment = lxc_rig.deployment(rig, [node.credentials for node in nodes], **keys)
    return deployment, lxc_rig.provider(deployment).create_servers()


def destroyed(deployment, nodes):
    lxc_rig.provider(deployment).destroy_servers()
    return [thing for node in nodes for thing in node.left_over()]


def test_two_nodes_with_vxlan_third_machine_reaches_every_container(rig, notes, nodes):
    *hosts, third = nodes
    tunnel_to = [node.address for node in nodes]
    deployment, servers = created(
        rig, hosts, containers_per_host=2, tunnel_to=tunnel_to, tunnel_type="vxlan"
    )
    try:
        networks = {ipaddress.ip_network(f"{s.host}/24", strict=False) for s in servers}
        assert len(servers) == 4
        assert len(networks) == 2
        assert all(s.jump and deployment.ssh(s).run(["hostname"]).stdout.strip() == s.name
                   for s in servers)

        commands = [line for note in notes.notes if third.address in note.splitlines()[0]
                    for line in note.splitlines()[1:]]
        for command in commands:
            third.run(*command.split())
        for server in servers:
            assert third.greeting(server.host).startswith("SSH-2.0")
        # ... and a container reaches one on the other node, with its own address.
        first, last = servers[0], servers[-1]
        assert deployment.ssh(first).run(["ping", "-c1", "-W3", last.host]).ok
    finally:
        left = destroyed(deployment, hosts)
    assert left == []


def test_first_network_given_next_host_gets_next_block(rig, nodes):
    hosts = nodes[:2]
    deployment, servers = created(rig, hosts, start_lxc_network="10.77.4.0/28")
    try:
        assert [s.host for s in servers] == ["10.77.4.2", "10.77.4.18"]
    finally:
        left = destroyed(deployment, hosts)
    assert left == []


def test_forward_ssh_on_remote_host_reaches_containers_by_its_ports(rig, nodes):
    host = nodes[0]
    deployment, servers = created(rig, [host], containers_per_host=2, forward_ssh=True)
    try:
        assert {(s.host, s.port, s.jump) for s in servers} == {
            (host.address, 1222, None), (host.address, 1223, None)
        }
        assert [deployment.ssh(s).run(["hostname"]).stdout.strip() for s in servers] == [
            s.name for s in servers
        ]
        # From another machine, too.
        assert nodes[2].greeting(host.address, 1222).startswith("SSH-2.0")
    finally:
        left = destroyed(deployment, [host])
    assert left == []


def test_static_addresses_on_hosts_bridge_count_up_over_hosts(rig, nodes):
    hosts = nodes[:2]
    for node in hosts:
        own = node.address
        node.run("sh", "-ec", "ip link add rdtbr0 type bridge; ip link set rdtbr0 up; "
                 f"ip addr del {own}/24 dev eth0; ip link set eth0 master rdtbr0; "
                 f"ip addr add {own}/24 dev rdtbr0; ip route add default via 10.253.77.1")
    deployment, servers = created(
        rig, hosts, containers_per_host=2, network_bridge="rdtbr0",
        ipv4_start_address="10.253.77.100", ipv4_prefixlen=24,
    )
    try:
        assert [s.host for s in servers] == [f"10.253.77.{n}" for n in (100, 101, 102, 103)]
        for server in servers:
            assert deployment.ssh(server).run(["ping", "-c1", "-W3", "10.253.77.1"]).ok
            assert nodes[2].greeting(server.host).startswith("SSH-2.0")
    finally:
        left = destroyed(deployment, hosts)
    assert [thing for thing in left if "rdtbr0" not in thing] == []


def test_tunnel_type_that_kernel_lacks_error_lists_those_it_has(rig, nodes):
    host = nodes[0]
    types = sh("sh", "-c", "for t in ipip gre; do unshare -n ip link add x type $t local 1.1.1.1 "
               "remote 2.2.2.2 2>/dev/null || echo $t; done").split()
    if not types:
        pytest.skip("this kernel has every type of tunnel")
    deployment = lxc_rig.deployment(
        rig, [host.credentials], tunnel_to=[nodes[2].address], tunnel_type=types[0]
    )
    try:
        with pytest.raises(HostError, match=f"no tunnels of type {types[0]}") as caught:
            lxc_rig.provider(deployment).create_servers()
        assert "vxlan" in caught.value.details
        assert "tunnel_type" in caught.value.remedy
    finally:
        left = destroyed(deployment, [host])
    assert left == []


def test_host_that_is_gone_at_destroy_error_names_it_and_later_destroy_succeeds(rig, nodes):
    host = nodes[0]
    deployment, _ = created(rig, [host])
    rule = ("INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset")
    host.run("iptables", "-I", *rule)
    try:
        with pytest.raises(LeftOver, match="2 resource") as caught:
            lxc_rig.provider(deployment).destroy_servers()
        assert host.address in caught.value.details
    finally:
        host.run("iptables", "-D", *rule)
        left = destroyed(deployment, [host])
    assert left == []


ON_BTRFS = """
truncate -s 3G "$1/btrfs.img"
mkfs.btrfs -q "$1/btrfs.img"
mount -o loop "$1/btrfs.img" /mnt
mkdir /mnt/$2
btrfs -q subvolume create /mnt/$2/rootfs
cp -a /var/lib/lxc/$2/rootfs/. /mnt/$2/rootfs/
cp /var/lib/lxc/$2/rdeploy-image.json /mnt/$2/
sed "s,^lxc.rootfs.path.*,lxc.rootfs.path = btrfs:/var/lib/lxc/$2/rootfs," \\
    /var/lib/lxc/$2/config >/mnt/$2/config
mount --move /mnt /var/lib/lxc
"""


def clones(deployment):
    rows = deployment._work.store.resources.list(deployment.uuid, alive=True)
    return {row.facts["clone"] for row in rows if row.kind == "lxc_container"}


def roots_are_their_own(deployment, servers):
    first, second = (deployment.ssh(server) for server in servers)
    first.run(["touch", "/root/only-here"])
    return first.exists("/root/only-here") and not second.exists("/root/only-here")


def test_lxc_on_btrfs_clones_are_snapshots(rig, nodes, tmp_path):
    need("snapshots of btrfs", "mkfs.btrfs", "btrfs")
    host = nodes[0]
    host.run("sh", "-ec", ON_BTRFS, "btrfs", str(tmp_path), lxc_rig.make_base())
    try:
        deployment, servers = created(rig, [host], containers_per_host=2)
        try:
            assert clones(deployment) == {"snapshot"}
            assert roots_are_their_own(deployment, servers)
        finally:
            left = destroyed(deployment, [host])
        assert left == []
        assert host.run("ls", "-A", "/var/lib/lxc").split() == [lxc_rig.make_base()]
        subvolumes = host.run("btrfs", "subvolume", "list", "/var/lib/lxc").splitlines()
        assert [line.split()[-1] for line in subvolumes] == [f"{lxc_rig.make_base()}/rootfs"]
    finally:
        host.run("umount", "/var/lib/lxc", check=False)


def test_kernel_without_overlay_clones_are_copies(rig, nodes, tmp_path):
    host = nodes[0]
    (tmp_path / "filesystems").write_text("nodev\tproc\n\text4\n")
    host.run("mount", "--bind", str(tmp_path / "filesystems"), "/proc/filesystems")
    deployment, servers = created(rig, [host], containers_per_host=2)
    try:
        assert clones(deployment) == {"copy"}
        assert roots_are_their_own(deployment, servers)
    finally:
        left = destroyed(deployment, [host])
    assert left == []
