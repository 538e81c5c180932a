"""LxcEngine on real containers, with an inner engine whose cloud is one file and one service."""

from pathlib import Path

import pytest

from rally_deploy.engines.lxc import LxcEngine
from rally_deploy.errors import PartlyDeployed
from rally_deploy.serverprovider.lxc import LxcProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional import clone_rig, lxc_rig
from tests.functional.conftest import left_of, need, spread
from tests.functional.hardware_nodes import hardware_nodes
from tests.functional.sshd_hosts import sh
from tests.functional.test_hardware_nodes import ON_BTRFS

pytestmark = [
    pytest.mark.functional, pytest.mark.usefixtures("lxc"),
    pytest.mark.xdist_group("machine"),
]

LXC = Path("/var/lib/lxc")


@pytest.fixture(scope="module", autouse=True)
def base(request):
    request.getfixturevalue("lxc")
    return lxc_rig.make_base()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))


class Notes:
    """A watcher that keeps the notes."""

    def __init__(self):
        self.notes = []

    def event(self, event):
        if str(event.kind) in ("note", "warning"):
            self.notes.append(event.title)

    def output(self, output):
        pass


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def rig(tmp_path, notes):
    (tmp_path / "rig").mkdir()
    plugins = (LxcEngine, LxcProvider, clone_rig.FileNode, lxc_rig.GivenHosts, lxc_rig.ServersOnly)
    with open_deployer(tmp_path / "rig", *plugins, watcher=notes) as rig:
        yield rig


def block(hosts=(lxc_rig.LOCAL,), inner=(), **keys):
    return {
        "type": "LxcEngine", "container_name": "clone", "containers_per_host": 3,
        "distribution": "debian", "release": "bookworm",
        "provider": {"type": "GivenHosts", "hosts": list(hosts)},
        "engine": {"name": "FileNode", **dict(inner)}, **keys,
    }


@pytest.fixture
def made(rig):
    """Makes deployments, and destroys all of them at the end."""
    entities = []

    def make(config):
        entity = open_deployment(rig, config)
        entities.append(entity)
        return entity

    yield make
    for entity in entities:
        entity.destroy()
        rig.store.resources.assert_all_gone(entity.uuid)


def ask(deployment, *argv):
    """What each container says."""
    return deployment.each(
        lambda server: deployment.ssh(server).run(list(argv)).stdout.strip(),
        deployment.servers(),
    )


def ours(deployment):
    """What this machine has of a deployment and of its tree."""
    short = deployment.record.short
    return left_of(deployment.uuid) + [str(path) for path in LXC.glob(f"*{short}*")] + [
        str(path) for path in LXC.glob(f".*{short}*")]


def are_nodes_of_their_own(deployment):
    servers = deployment.servers()
    assert ask(deployment, "hostname") == [s.name for s in servers]
    wanted = [f"host={s.name}\nmy_ip={s.host}" for s in servers]
    assert ask(deployment, "cat", clone_rig.CONF) == wanted
    # The service has seen nothing else, not even for a moment.
    assert ask(deployment, "cat", clone_rig.SEEN) == wanted
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert len(set(ask(deployment, "cat", path))) == len(servers)
    assert set(ask(deployment, "systemctl", "is-system-running", "--wait")) == {"running"}


def test_clones_are_nodes_of_their_own_and_go_on_being_so(made, notes):
    deployment = made(block(start_lxc_network="10.190.11.0/28"))
    deployment.deploy()
    servers, short = deployment.servers(), deployment.record.short
    assert [s.name for s in servers] == [f"rd-{short}-clone-10-190-11-0-00{n}" for n in range(3)]
    assert [s.host for s in servers] == ["10.190.11.2", "10.190.11.3", "10.190.11.4"]
    are_nodes_of_their_own(deployment)
    assert deployment.engine().compute_hosts() == [s.name for s in servers]
    assert deployment.result()["services"] == {"compute": "http://10.190.11.2/"}
    assert [n for n in notes.notes if n.startswith("memory per node: ")]

    # The first one runs on an overlay too: nobody sees what another one writes.
    first, second, _ = servers
    deployment.ssh(first).run(["touch", "/root/of-the-first"])
    assert not (LXC / first.name / "rootfs" / "root" / "of-the-first").exists()
    assert not deployment.ssh(second).exists("/root/of-the-first")
    # At its next boot a clone is still the node that it was.
    for name in (first.name, second.name):
        sh("lxc-stop", "-r", "-n", name, "-t", "30")
    deployment.wait(lambda: deployment.ssh(second).run(["true"]).ok, 60, "the reboot",
                    tolerate=(Exception,))
    deployment.wait(lambda: deployment.ssh(first).exists(clone_rig.SEEN), 60, "the reboot",
                    tolerate=(Exception,))
    are_nodes_of_their_own(deployment)
    assert deployment.ssh(first).exists("/root/of-the-first")

    deployment.destroy()
    assert ours(deployment) == []


def test_one_container_per_host_needs_no_clone(made):
    deployment = made(block(containers_per_host=1))
    deployment.deploy()
    are_nodes_of_their_own(deployment)
    deployment.destroy()
    assert ours(deployment) == []


def test_clone_whose_script_fails_does_not_start_and_is_named(made):
    deployment = made(block(inner={"refused": "-002"}))
    with pytest.raises(Exception, match="1 of 3 containers failed") as caught:
        deployment.deploy()
    assert "-002 could not be made a node of its own" in caught.value.details
    assert "this clone is refused" in caught.value.details
    states = {name[-3:]: sh("lxc-info", "-n", name, "-sH").strip()
              for name in sh("lxc-ls", "-1").split() if deployment.record.short in name}
    assert states == {"000": "RUNNING", "001": "RUNNING", "002": "STOPPED"}
    deployment.destroy()
    assert ours(deployment) == []


def test_start_script_is_run_once_in_each_container(made, tmp_path):
    script = tmp_path / "start.sh"
    script.write_text('echo "$RDEPLOY_NUMBER $RDEPLOY_NAME $RDEPLOY_ADDRESS" >>/root/started\n'
                      'if [ "$RDEPLOY_NUMBER" = 1 ]; then echo "no room"; exit 9; fi\n')
    deployment = made(block(start_script=str(script), start_lxc_network="10.190.12.0/24"))
    with pytest.raises(PartlyDeployed, match="1 of 3 containers failed") as caught:
        deployment.deploy()
    names = [s.name for s in deployment.servers()]
    assert f"{names[1]}: the start script ended with status 9" in caught.value.details
    assert "no room" in caught.value.details
    script.write_text('echo "again $RDEPLOY_NAME" >>/root/started')
    deployment.deploy()
    lines = [f"{n} {name} 10.190.12.{2 + n}" for n, name in enumerate(names)]
    lines[1] += f"\nagain {names[1]}"
    assert ask(deployment, "cat", "/root/started") == lines


def test_service_that_does_not_come_up_in_a_clone_is_told(made):
    deployment = made(block(containers_per_host=2, inner={"sick": "-001"}))
    with pytest.raises(PartlyDeployed) as caught:
        deployment.deploy()
    assert "-001: a service that ran in the first container does not run" in caught.value.details
    assert "rdt-node.service failed" in caught.value.details


# Several hosts


@pytest.fixture
def nodes(sshd):
    with hardware_nodes(2) as nodes:
        yield nodes


def left_over(nodes):
    return [thing for node in nodes for thing in node.left_over()]


def test_two_hosts_with_vxlan_all_containers_reach_each_other(made, nodes):
    deployment = made(block(
        [node.credentials for node in nodes], start_lxc_network="10.77.8.0/27",
        tunnel_to=[node.address for node in nodes], tunnel_type="vxlan",
    ))
    deployment.deploy()
    servers = deployment.servers()
    assert [s.host for s in servers] == [
        *(f"10.77.8.{n}" for n in (2, 3, 4)), *(f"10.77.8.{n}" for n in (34, 35, 36))
    ]
    are_nodes_of_their_own(deployment)
    assert deployment.ssh(servers[1]).run(["ping", "-c1", "-W3", servers[5].host]).ok
    assert deployment.ssh(servers[3]).run(["ping", "-c1", "-W3", servers[0].host]).ok
    deployment.destroy()
    assert left_over(nodes) == []


@pytest.mark.parametrize("both_ask", [False, True])
def test_tunnel_to_the_host_of_another_part_of_the_tree_has_both_ends(
    made, nodes, tmp_path, notes, both_ask
):
    far, near = nodes
    controller = lxc_rig.config([far.credentials])
    if both_ask:
        controller["provider"].update(tunnel_to=[near.address], tunnel_type="vxlan")
    computes = block([near.credentials], containers_per_host=2, tunnel_to=[far.address],
                     tunnel_type="vxlan")
    world = str(tmp_path / "world")
    deployment = made({
        "type": "FakeEngine", "world": world, "nodes": [controller, computes],
        "provider": {"type": "FakeProvider", "world": world},
    })
    deployment.deploy()
    first, second = deployment.children()
    (controller,), computes = first.servers(), second.servers()
    # The far end's note was needed while nobody was there.
    assert len([n for n in notes.notes if "to reach" in n]) == both_ask
    for compute in computes:
        assert second.ssh(compute).run(["ping", "-c1", "-W3", controller.host]).ok
        assert first.ssh(controller).run(["ping", "-c1", "-W3", compute.host]).ok
        # Each is seen with its own address.
        said = first.ssh(controller).script(
            f"timeout 5 bash -c 'read line </dev/tcp/{compute.host}/22; echo $line'").stdout
        assert said.startswith("SSH-2.0")
    deployment.destroy()
    assert left_over(nodes) == []


def test_host_without_overlays_clones_are_copies(made, nodes, tmp_path):
    (tmp_path / "filesystems").write_text("nodev\tproc\n\text4\n")
    nodes[0].run("mount", "--bind", str(tmp_path / "filesystems"), "/proc/filesystems")
    deployment = made(block([nodes[0].credentials]))
    deployment.deploy()
    rows = deployment.ledger.alive("lxc_clone")
    assert [row.facts["clone"] for row in rows] == ["copy", "copy"]
    are_nodes_of_their_own(deployment)
    deployment.destroy()
    assert left_over(nodes) == []


def test_btrfs_clones_are_snapshots(made, nodes, tmp_path):
    need("snapshots of btrfs", "mkfs.btrfs", "btrfs")
    host = nodes[0]
    host.run("sh", "-ec", ON_BTRFS, "btrfs", str(tmp_path), lxc_rig.make_base())
    try:
        deployment = made(block([host.credentials]))
        deployment.deploy()
        rows = [*deployment.ledger.alive("lxc_container"), *deployment.ledger.alive("lxc_clone")]
        assert [row.facts["clone"] for row in rows] == ["snapshot"] * 3
        are_nodes_of_their_own(deployment)
        deployment.destroy()
        assert left_over([host]) == []
        subvolumes = host.run("btrfs", "subvolume", "list", "/var/lib/lxc").splitlines()
        assert [line.split()[-1] for line in subvolumes] == [f"{lxc_rig.make_base()}/rootfs"]
    finally:
        host.run("umount", "/var/lib/lxc", check=False)


# The real rdeploy, killed


@pytest.fixture
def killable(rdeploy, tmp_path):
    """Two hosts with a tunnel and two containers each, in processes of its own."""
    folder = clone_rig.plugin_path(tmp_path / "plugins")
    rdeploy.env["PYTHONPATH"] = f"{folder}:{Path(__file__).parents[2]}"

    def config(nodes):
        return rdeploy.config("small", {
            **block(containers_per_host=2, start_lxc_network="10.77.9.0/28",
                    tunnel_to=[node.address for node in nodes], tunnel_type="vxlan"),
            "provider": {"type": "ExistingServers",
                         "credentials": [node.credentials for node in nodes]},
        })

    return rdeploy, config


@pytest.mark.timeout(2400)
def test_create_killed_at_many_points_destroy_leaves_nothing(killable, nodes):
    rdeploy, config = killable
    file = config(nodes)
    points = rdeploy.points_of(file)
    for point in spread(points, 9):
        name = f"killed-{point}"
        assert rdeploy.killed(point, "create", "--name", name, "--file", file), point
        rdeploy("destroy", name, "--yes")
        assert left_over(nodes) == [], f"killed at {point} of {points}"


@pytest.mark.timeout(2400)
def test_create_killed_at_many_points_resume_goes_on(killable, nodes):
    rdeploy, config = killable
    file = config(nodes)
    points = rdeploy.points_of(file)
    for point in spread(points, 5)[1:]:
        name = f"killed-{point}"
        assert rdeploy.killed(point, "create", "--name", name, "--file", file), point
        rdeploy("resume", name)
        shown = rdeploy.json("show", name)
        assert shown["state"] == "ready"
        names = [server["name"] for server in shown["servers"]]
        assert [n[-4:] for n in names] == ["-000", "-001", "-000", "-001"], point
        said = [rdeploy("ssh", name, n, "--", "cat", clone_rig.SEEN).stdout for n in names]
        assert [line.splitlines()[0] for line in said] == [f"host={n}" for n in names], point
        rdeploy("destroy", name, "--yes")
        assert left_over(nodes) == [], f"killed at {point} of {points}"
