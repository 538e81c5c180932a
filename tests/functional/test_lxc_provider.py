"""Real containers on this machine: made, reached, refused, killed in the middle, removed."""

import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from rally_deploy.errors import HostError, ResourceConflict
from rally_deploy.hosts import lxc_base
from rally_deploy.serverprovider.lxc import LxcProvider
from rally_deploy.testing.contract import ProviderContract
from rally_deploy.testing.fakes import plugin_path
from tests.functional import lxc_rig
from tests.functional.conftest import on_machine
from tests.functional.sshd_hosts import sh

pytestmark = [
    pytest.mark.functional, pytest.mark.usefixtures("lxc"),
    pytest.mark.xdist_group("machine"),
]

LXC = Path("/var/lib/lxc")


@pytest.fixture(scope="module")
def base(request):
    request.getfixturevalue("lxc")
    return lxc_rig.make_base()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))


@pytest.fixture
def rig(tmp_path, base):
    with lxc_rig.deployer(tmp_path / "rig") as rig:
        yield rig


@pytest.fixture
def made(rig):
    """Makes deployments, and destroys all of them at the end."""
    entities = []

    def make(**keys):
        entity = lxc_rig.deployment(rig, **keys)
        entities.append(entity)
        return entity, lxc_rig.provider(entity)

    yield make
    for entity in entities:
        lxc_rig.provider(entity).destroy_servers()
        rig.store.resources.assert_all_gone(entity.uuid)


def ours(entity):
    """What this machine has of one deployment, by kind."""
    short = entity.record.short
    return {kind: found for kind, names in on_machine().items()
            if (found := [name for name in names if short in name])}


def test_three_containers_are_reached_have_identities_of_their_own_and_go(made):
    entity, provider = made(containers_per_host=3)
    servers = provider.create_servers()

    def ask(*argv):
        return [entity.ssh(s).run(list(argv)).stdout.strip() for s in servers]

    assert ask("hostname") == [s.name for s in servers]
    assert len(set(ask("cat", "/etc/machine-id"))) == 3
    assert len(set(ask("cat", "/etc/ssh/ssh_host_ed25519_key.pub"))) == 3
    assert set(ask("stat", "-c", "%a", "/root", "/root/.ssh")) == {"700\n700"}
    assert set(ask("systemctl", "is-system-running", "--wait")) == {"running"}
    assert ask("sh", "-c", "ping -c1 -W3 $(ip route show default | cut -d' ' -f3) >/dev/null; "
               "echo $?") == ["0"] * 3
    assert set(ask("getent", "ahosts", "localhost")) != {""}

    again = lxc_rig.provider(entity).create_servers()
    assert again == servers
    assert len(ours(entity)["containers"]) == 3

    provider.destroy_servers()
    assert ours(entity) == {}
    assert not list(LXC.glob(f"*{entity.record.short}*"))
    assert not list(LXC.glob(f".*{entity.record.short}*"))
    provider.destroy_servers()


def test_container_that_was_stopped_is_started_by_next_create(made):
    entity, provider = made()
    server = provider.create_servers()[0]
    sh("lxc-stop", "-k", "-n", server.name)
    assert provider.create_servers() == [server]
    assert entity.ssh(server).run(["hostname"]).stdout.strip() == server.name


def test_amount_given_makes_that_many(made):
    _, provider = made(containers_per_host=3)
    assert len(provider.create_servers(amount=1)) == 1


def test_prefix_and_raw_lines_are_in_containers_configuration(made):
    _, provider = made(container_name_prefix="node_", lxc_config=["lxc.environment = COLOUR=red"])
    server = provider.create_servers()[0]
    assert "-node-0-000" in server.name
    config = (LXC / server.name / "config").read_text()
    assert "lxc.environment = COLOUR=red" in config
    assert not [line for line in config.splitlines() if line.startswith("lxc.include")
                and "nesting" in line]


def test_bridge_with_dhcp_gives_containers_their_addresses(made, tmp_path):
    pid_file = tmp_path / "dnsmasq.pid"
    sh("ip", "link", "add", "rdtdhcp", "type", "bridge", "forward_delay", "0")
    try:
        sh("ip", "addr", "add", "10.253.78.1/24", "dev", "rdtdhcp")
        sh("ip", "link", "set", "rdtdhcp", "up")
        sh("dnsmasq", "--conf-file=/dev/null", f"--pid-file={pid_file}", "--bind-interfaces",
           "--interface=rdtdhcp", "--except-interface=lo", "--port=0",
           "--dhcp-range=10.253.78.50,10.253.78.60", f"--dhcp-leasefile={tmp_path}/leases",
           "--user=root")
        entity, provider = made(containers_per_host=2, network_bridge="rdtdhcp")
        servers = provider.create_servers()
        assert all(50 <= int(s.host.rsplit(".", 1)[1]) <= 60 for s in servers)
        assert len({s.host for s in servers}) == 2
        provider.destroy_servers()
        assert ours(entity) == {}
    finally:
        if pid_file.exists():
            sh("kill", pid_file.read_text().strip())
        sh("ip", "link", "del", "rdtdhcp")


def test_bridge_that_is_not_there_error_names_it(made):
    _, provider = made(network_bridge="rdtnone")
    with pytest.raises(HostError, match="there is no bridge rdtnone"):
        provider.create_servers()


def test_network_in_use_error_shows_what_is_in_the_way(made):
    sh("ip", "link", "add", "rdtused", "type", "bridge")
    try:
        sh("ip", "addr", "add", "10.190.3.1/25", "dev", "rdtused")
        sh("ip", "link", "set", "rdtused", "up")
        entity, provider = made(start_lxc_network="10.190.3.0/24")
        with pytest.raises(HostError, match="10.190.3.0/24 is in use") as caught:
            provider.create_servers()
        assert "rdtused" in caught.value.details
    finally:
        sh("ip", "link", "del", "rdtused")
    assert provider.create_servers()[0].host == "10.190.3.2"


def test_deployments_at_the_same_time_get_networks_of_their_own(made):
    pairs = [made() for _ in range(5)]
    servers = []
    threads = [
        threading.Thread(target=lambda p=provider: servers.extend(p.create_servers()))
        for _, provider in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({s.host.rsplit(".", 1)[0] for s in servers}) == 5


def test_forwarding_that_was_off_is_off_again_only_after_the_last(tmp_path):
    """In a network namespace of its own: nobody else's forwarding is touched."""
    script = f"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
echo 0 >/proc/sys/net/ipv4/ip_forward
python - <<'END'
from pathlib import Path
from rally_deploy.hosts import network
from rally_deploy.hosts.addresses import free_candidates
from tests.functional.lxc_rig import local_shell
switch = Path("/proc/sys/net/ipv4/ip_forward")
shell, seen = local_shell(), []
for n in (0, 1):
    network.make_network(shell, f"rd-0000000{{n}}-net-0", f"rd0000000{{n}}-b0",
                         list(free_candidates("x", 0, 1, 24)))
seen.append(switch.read_text().strip())
for n in (0, 1):
    network.delete_network(shell, f"rd-0000000{{n}}-net-0", f"rd0000000{{n}}-b0")
    seen.append(switch.read_text().strip())
Path("{tmp_path}/seen").write_text(" ".join(seen))
END
ip -o link | grep rd0000000 >"{tmp_path}/left" || :
ls /run >>"{tmp_path}/left"
"""
    import sys

    script = script.replace("python -", f"{sys.executable} -")
    subprocess.run(["unshare", "-n", "-m", "sh", "-c", script], check=True,
                   cwd=Path(__file__).parents[2])
    assert (tmp_path / "seen").read_text() == "1 1 0"
    assert set((tmp_path / "left").read_text().split()) <= {"lock", "xtables.lock", "mount"}


def test_foreign_container_of_our_name_is_named_and_left_alone(made):
    entity, provider = made()
    name = f"rd-{entity.record.short}-0-000"
    (LXC / name).mkdir()
    (LXC / name / "config").write_text("lxc.uts.name = foreign\n")
    try:
        with pytest.raises(ResourceConflict, match=name):
            provider.create_servers()
        with pytest.raises(Exception, match="did not make"):
            provider.destroy_servers()
        assert (LXC / name / "config").read_text() == "lxc.uts.name = foreign\n"
    finally:
        (LXC / name / "config").unlink()
        (LXC / name).rmdir()


def test_template_download_without_its_server_says_what_to_set_instead(made):
    entity, provider = made(
        distribution="download", release="bookworm",
        template_options=["-d", "debian", "-a", "amd64", "--server", "images.invalid"],
    )
    with pytest.raises(HostError, match="base container .* could not be made") as caught:
        provider.create_servers()
    assert "'debian'" in caught.value.remedy
    [row] = provider.deployment.ledger.alive("lxc_image")
    provider.destroy_servers()
    # Not any half: whoever waited for the lock makes another base by now.
    images = lxc_base.list_images(lxc_rig.local_shell())
    assert row.facts["base"] not in [i.name for i in images]
    assert not list(Path("/var/lib/rdeploy").glob(f"*/*{entity.record.short}*"))


def test_image_with_clones_is_not_removed_and_one_without_is(made, base):
    shell = lxc_rig.local_shell()
    made()[1].create_servers()
    with pytest.raises(ResourceConflict, match="has clones"):
        lxc_base.remove_image(shell, base)
    sh("lxc-copy", "-n", base, "-N", "rd-base-000000000000")
    try:
        assert not next(i for i in lxc_base.list_images(shell)
                        if i.name == "rd-base-000000000000").complete
        (LXC / "rd-base-000000000000" / "rdeploy-image.json").write_text('{"release": "x"}')
        found = next(i for i in lxc_base.list_images(shell) if i.name == "rd-base-000000000000")
        assert (found.complete, found.facts) == (True, {"release": "x"})
        assert found.size_mb > 100
    finally:
        lxc_base.remove_image(shell, "rd-base-000000000000")
    assert not (LXC / "rd-base-000000000000").exists()
    assert base in [i.name for i in lxc_base.list_images(shell)]


class TestLxcProviderKeepsTheContract(ProviderContract):
    plugin = LxcProvider
    network = "10.190.9.0/24"

    @pytest.fixture
    def block(self, base):
        return lxc_rig.config(
            start_lxc_network=self.network, container_name_prefix="contract", containers_per_host=2
        )["provider"]

    @pytest.fixture
    def deployer(self, tmp_path):
        with lxc_rig.deployer(tmp_path / "rig") as deployer:
            yield deployer

    def leftovers(self, block):
        containers = [name for name in sh("lxc-ls", "-1").split() if "-contract-" in name]
        return containers + sh("ip", "-o", "addr", "show", "to", self.network).splitlines()


# The real rdeploy, killed


@pytest.fixture
def killable(rdeploy, tmp_path, base, sshd):
    """A small deployment of containers, in processes of its own."""
    folder = plugin_path(tmp_path / "plugins")
    rdeploy.env["PYTHONPATH"] = f"{folder}:{Path(__file__).parents[2]}"

    def config(**keys):
        return rdeploy.config("small", {
            "type": "FakeEngine", "world": str(tmp_path / "world"), "command": ["hostname"],
            "provider": {
                "type": "LxcProvider", "containers_per_host": 2, "distribution": "debian",
                "release": "bookworm", "forward_ssh": True,
                "host_provider": {
                    "type": "ExistingServers",
                    "credentials": [{"host": "localhost", "user": "root", "connection": "local"}],
                }, **keys,
            },
        })

    return rdeploy, config


def test_create_killed_at_many_points_destroy_leaves_nothing(killable, tmp_path):
    rdeploy, config = killable
    counted = tmp_path / "count"
    rdeploy("create", "--name", "counted", "--file", config(),
            module="rally_deploy.testing.killing", RDEPLOY_TEST_COUNT=str(counted))
    rdeploy("destroy", "counted", "--yes")
    points = int(counted.read_text())
    chosen = sorted({1 + n * (points - 1) // 15 for n in range(16)})
    assert len(chosen) >= 12
    for point in chosen:
        name = f"killed-{point}"
        assert rdeploy.killed(point, "create", "--name", name, "--file", config()), point
        rdeploy("destroy", name, "--yes")
        assert rdeploy.left_over() == [], f"killed at {point} of {points}"


@pytest.mark.timeout(900)
def test_build_of_base_killed_destroy_removes_the_half(killable, tmp_path):
    rdeploy, config = killable
    image = lxc_base.resolve_image(
        lxc_base.BaseImage("debian", "bookworm", packages=("less",)), "debian", "bookworm"
    )
    process = rdeploy.start("create", "--name", "half", "--file", config(packages=["less"]))
    half, cache = LXC / image.name, Path(f"/var/lib/rdeploy/build-{image.name}")
    try:
        end = time.monotonic() + 240
        while not (cache / "debian").exists() and time.monotonic() < end:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        time.sleep(4)
    finally:
        process.kill()
        said, _ = process.communicate()
    assert half.exists(), said
    # It is made on, detached from the process that was killed ...
    time.sleep(1)
    assert sh("pgrep", "-f", f"lxc-create -n {image.name}", check=False)
    # ... until it is destroyed.
    rdeploy("destroy", "half", "--yes")
    assert not half.exists()
    assert not cache.exists()
    assert not sh("pgrep", "-f", f"lxc-create -n {image.name}", check=False)
    assert not [line for line in Path("/proc/mounts").read_text().splitlines()
                if image.name in line]
    assert json.loads(rdeploy("list", "--all", "--json").stdout)[0]["state"] == "destroyed"
