"""Real clones on a real libvirtd: reached over SSH, refused, killed in the middle, removed."""

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from rally_deploy.errors import AuthenticationFailed, EachFailed, HostKeyMismatch
from rally_deploy.serverprovider.virsh import events, link, refusal
from rally_deploy.serverprovider.virsh.way import parse
from rally_deploy.testing.fakes import plugin_path
from tests.functional.libvirt_rig import PASSWORD, Libvirtd
from tests.functional.sshd_hosts import keygen, sh, until
from tests.functional.virsh_deployments import deployments

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(1200), pytest.mark.xdist_group("libvirt"),
]


@pytest.fixture(scope="module")
def here(guest):
    """A libvirtd of our own with a template."""
    with Libvirtd(guest) as here:
        yield here


@pytest.fixture
def rig(tmp_path, monkeypatch, here):
    """Makes (deployment, provider); all are destroyed at the end, and nothing may be left."""
    with deployments(tmp_path, monkeypatch, here) as make:
        yield make


def test_two_clones_over_ssh_are_reached_and_have_disks_of_their_own(rig, here):
    with here.sshd() as address:
        entity, provider = rig(
            connection=address, connection_key=here.key, template_key="",
            template_password=PASSWORD, amount=2, memory_mb=160)
        before = sh("sha256sum", f"{here.pool}/tpl.qcow2")
        servers = provider.create_servers()
        assert len({server.host for server in servers}) == 2
        # Behind their host's network: over the host, whose key is pinned.
        assert {server.jump.host for server in servers} == {"127.0.0.1"}
        assert entity.host_key(servers[0].jump).startswith("ssh-ed25519 ")

        def ask(text):
            return [entity.ssh(s).script(text).stdout.strip() for s in servers]

        assert all(int(kb) > 110_000 for kb in ask("awk '/MemTotal/ {print $2}' /proc/meminfo"))
        assert [mac.upper() for mac in ask("cat /sys/class/net/eth0/address")] == [
            server.facts["macs"][0].upper() for server in servers]
        entity.ssh(servers[0]).script("echo mine | dd of=/dev/vda conv=fsync 2>/dev/null")
        assert ask("head -c 4 /dev/vda | tr -d '\\000'") == ["mine", ""]
        assert sh("sha256sum", f"{here.pool}/tpl.qcow2") == before
        # The password let us in once; from then on it is our key.
        assert all("PRIVATE KEY" in server.private_key for server in servers)
        assert len(set(ask("cat /root/.ssh/authorized_keys"))) == 1
        assert ["the guest is up" in text for text in here.consoles()] == [True, True]
        assert provider.create_servers() == servers
        provider.destroy_servers()
        assert here.ours() == []


def test_clone_gets_our_key_by_the_disk_for_cloud_init(rig, here):
    here.define("blank", "")
    entity, provider = rig(template_name="blank", template_key="", memory_mb=96)
    server = provider.create_servers()[0]
    assert "PRIVATE KEY" in server.private_key
    assert entity.ssh(server).run(["id", "-u"]).stdout == "0\n"
    seed = next(path for path in here.pool.iterdir() if "-seed-" in path.name)
    assert 'LABEL="cidata"' in sh("blkid", "-p", str(seed))
    assert server.name.encode() in seed.read_bytes()


def test_two_clones_with_one_address_are_told(rig, here):
    here.define("twins", f"{here.login} rdt.client=ff00000001")
    _, provider = rig(template_name="twins", amount=2, memory_mb=96, timeout_s=5)
    provider.make_clones(2)

    def both_have_asked():
        return sum("the guest is up" in text for text in here.consoles()) == 2

    until(both_have_asked, "both clones")
    with pytest.raises(refusal.AddressShared) as caught:
        provider.create_servers()
    assert "machine-id" in caught.value.remedy


def test_clone_that_asks_for_no_address_is_told_with_its_console(rig, here):
    # Its kernel talks soon, however long the rest of its boot takes.
    here.define("deaf", "rdt.deaf debug earlyprintk=ttyS0")
    _, provider = rig(template_name="deaf", memory_mb=96, timeout_s=15)
    with pytest.raises(refusal.NoAddress, match="no address within 1. s") as caught:
        provider.create_servers()
    assert "its console:\n" in caught.value.details
    assert "\n[  " in caught.value.details


def test_clone_that_ends_is_told(rig, here):
    here.define("ending", "rdt.off")
    _, provider = rig(template_name="ending", memory_mb=96)
    with pytest.raises(refusal.CloneFailed, match="is (shut off|shutting down)"):
        provider.create_servers()


def test_copy_has_no_backing_file_and_overlay_has_the_template(rig, here):
    def image(name):
        volume = next(p for p in here.pool.iterdir() if p.name.startswith(f"{name}-vda"))
        return json.loads(sh("qemu-img", "info", "-U", "--output=json", str(volume)))

    here.define("light", memory_mb=32)
    made = {}
    for how in ("copy", "overlay"):
        _, provider = rig(clone=how, template_name="light")
        rows, _ = provider.make_clones(1)
        made[how] = image(rows[0].name)
        provider.close()
    assert "backing-filename" not in made["copy"]
    assert made["overlay"]["backing-filename"] == f"{here.pool}/tpl.qcow2"
    assert {i["format-specific"]["data"]["compat"] for i in made.values()} == {"1.1"}


#: What a template may have, and what then has to differ in each of its clones.
PLACES = """<maxMemory slots='2' unit='MiB'>512</maxMemory><vcpu>4</vcpu>
<cpu><numa><cell id='0' cpus='0-1' memory='64' unit='MiB'/>
<cell id='1' cpus='2-3' memory='64' unit='MiB'/></numa></cpu>
<numatune><memnode cellid='1' mode='preferred' nodeset='0'/></numatune>
<cputune><vcpusched vcpus='2-3' scheduler='fifo' priority='1'/></cputune>
<devices><memory model='dimm'><target><size unit='MiB'>128</size><node>1</node></target></memory>
<graphics type='vnc'><listen type='socket' socket='{folder}/place-screen'/></graphics>
<serial type='unix'><source mode='bind' path='{folder}/place-serial'/></serial>"""


@pytest.mark.parametrize(("keys", "memory_mb"), [
    ({"memory_mb": 48, "vcpus": 2}, 48), ({"vcpus": 2}, 256),
])
def test_clones_of_a_template_with_fixed_places_and_nodes_of_memory_run_together(
    rig, here, keys, memory_mb
):
    xml = here.define("placed", memory_mb=256).XMLDesc(3)
    here.connection.lookupByName("placed").undefine()
    for old in ("<vcpu.*?</vcpu>", "<serial.*?</serial>", "<console.*?</console>"):
        xml = re.sub(old, "", xml, flags=re.DOTALL)
    here.connection.defineXML(xml.replace("<devices>", PLACES.format(folder=here.folder)))
    _, provider = rig(template_name="placed", amount=2, **keys)
    rows, _ = provider.make_clones(2)
    domains = [here.connection.lookupByName(row.name) for row in rows]
    assert [(d.info()[1], d.info()[3]) for d in domains] == [(memory_mb << 10, 2)] * 2
    assert not any("place-" in domain.XMLDesc() for domain in domains)
    assert not list(here.folder.glob("place-*"))
    provider.close()


def test_running_template_is_refused(rig, here):
    template = here.define("busy", memory_mb=32)
    template.create()
    try:
        with pytest.raises(refusal.TemplateUnfit, match="is running"):
            rig(template_name="busy")[1].create_servers()
    finally:
        template.destroy()


def test_volume_that_pools_do_not_know_yet_is_found(rig, here):
    sh("cp", f"{here.pool}/tpl.qcow2", f"{here.pool}/new.qcow2")
    here.define("new", memory_mb=32, disk="new.qcow2")
    _, provider = rig(template_name="new")
    rows, _ = provider.make_clones(1)
    assert len(rows) == 1
    provider.close()


def test_full_disk_is_told(rig, here):
    folder = here.folder / "small"
    folder.mkdir()
    sh(*here.inside("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)))
    pool = here.connection.storagePoolCreateXML(
        f"<pool type='dir'><name>small</name><target><path>{folder}</path></target></pool>")
    try:
        with pytest.raises(refusal.PoolFull, match="too full"):
            rig(pool="small")[1].create_servers()
    finally:
        pool.destroy()
        sh(*here.inside("umount", str(folder)))


def test_libvirtd_that_is_down_is_told_here_and_over_there(rig, here):
    here.stop_libvirtd()
    try:
        with pytest.raises(refusal.HypervisorUnreachable, match="libvirtd does not run"):
            rig()[1].create_servers()
        with here.sshd() as address:
            _, provider = rig(connection=address, connection_key=here.key)
            with pytest.raises(refusal.HypervisorUnreachable, match="libvirtd does not run"):
                provider.create_servers()
    finally:
        here.start_libvirtd()
        here.reconnect()


def test_clones_outlive_a_restart_of_libvirtd_and_are_removed_after_it(rig, here):
    here.define("light", memory_mb=32)
    _, provider = rig(template_name="light")
    rows, _ = provider.make_clones(1)
    here.stop_libvirtd(signal.SIGKILL)
    here.start_libvirtd()
    here.reconnect()
    assert rows[0].name in here.domains()
    provider.close()
    provider.destroy_servers()
    assert here.ours() == []


def test_user_without_permission_is_told(here):
    (here.folder / "run").chmod(0o755)
    (here.folder / "run" / "libvirt-sock").chmod(0o700)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            way = parse(here.uri)
            link._open(way, way.uri, {})
        except Exception as error:
            os.write(write, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with open(read) as pipe:
        assert pipe.read() == "NotPermitted"


@pytest.mark.parametrize("scheme", ["qemu+libssh", "qemu+ssh"])
def test_wrong_password_ends_soon(rig, here, scheme):
    with here.sshd() as address:
        more = "?known_hosts_verify=ignore&sshauth=password" if scheme == "qemu+libssh" else ""
        _, provider = rig(connection=f"{scheme}://{address}/system{more}",
                          connection_password="wrong")
        begin = time.monotonic()
        with pytest.raises((AuthenticationFailed, refusal.NotPermitted)):
            provider.create_servers()
        assert time.monotonic() - begin < 60


def test_host_with_another_key_is_refused(rig, here):
    with here.sshd() as address:
        here.define("light", memory_mb=32)
        entity, provider = rig(
            connection=address, connection_key=here.key, template_name="light")
        provider.make_clones(1)
        provider.close()
    for name in ("host_key", "host_key.pub"):
        (here.folder / name).unlink()
    entity._work.shells.close()
    with here.sshd(port=int(address.rpartition(":")[2])):
        with pytest.raises(HostKeyMismatch):
            provider.create_servers()
        # It is the test's own sshd: the old key is forgotten, so that the clones can be removed.
        provider.config = {**provider.config, "connection": here.uri}
        provider.destroy_servers()


def test_clone_is_reached_over_its_host_also_where_libvirt_goes_there_by_itself(rig, here):
    with here.sshd() as address:
        more = f"known_hosts_verify=ignore&sshauth=privkey&keyfile={here.key}"
        entity, provider = rig(connection=f"qemu+libssh://{address}/system?{more}")
        server, = provider.create_servers()
        assert server.jump.host == "127.0.0.1"
        assert entity.ssh(server).run(["id", "-u"]).stdout == "0\n"
        provider.destroy_servers()


@pytest.mark.parametrize("transport", ["libssh", "libssh2", "ssh"])
def test_host_key_that_libvirt_itself_refuses_is_told(rig, here, tmp_path, transport):
    keygen(tmp_path / "other")
    known = tmp_path / "known_hosts"
    with here.sshd() as address:
        where = address.partition("@")[2]
        key = " ".join((tmp_path / "other.pub").read_text().split()[:2])
        known.write_text(f"[{where.partition(':')[0]}]:{where.partition(':')[2]} {key}\n")
        how = "no_tty=1&command=/usr/bin/ssh&known_hosts_verify=normal" if transport == "ssh" \
            else f"known_hosts={known}"
        _, provider = rig(
            connection=f"qemu+{transport}://{address}/system?{how}&keyfile={here.key}")
        with pytest.raises(refusal.HostKeyRefused, match="the host key of 127.0.0.1 is not known"):
            provider.create_servers()


def test_link_that_died_is_noticed(here):
    events.run()
    hypervisor = link._open(parse(here.uri), here.uri, {})
    number = here.pid("libvirtd")
    os.kill(number, signal.SIGSTOP)
    thawed = threading.Timer(90, os.kill, (number, signal.SIGCONT))
    thawed.start()
    try:
        begin = time.monotonic()
        with pytest.raises(refusal.LinkLost), hypervisor.doing("list the domains"):
            hypervisor.libvirt.listAllDomains()
        assert time.monotonic() - begin < 60
    finally:
        thawed.cancel()
        os.kill(number, signal.SIGCONT)
        hypervisor.close()


# The real rdeploy, killed


@pytest.fixture
def killable(rdeploy, tmp_path, here):
    """A create that ends when its clones run: their template asks for no address."""
    here.define("mute", memory_mb=32)
    folder = plugin_path(tmp_path / "plugins")
    rdeploy.env["PYTHONPATH"] = f"{folder}:{Path(__file__).parents[2]}"
    return rdeploy, rdeploy.config("clones", {
        "type": "FakeEngine", "world": str(tmp_path / "world"),
        "provider": here.block(template_name="mute", amount=2, timeout_s=1),
    })


def killed(rdeploy, *arguments, **env):
    return rdeploy(*arguments, check=False, module="tests.functional.killing_libvirt", **env)


def test_create_killed_at_many_points_destroy_leaves_nothing(killable, here, tmp_path):
    rdeploy, config = killable
    foreign = here.define("rd-00000000-0")
    counted = tmp_path / "count"
    done = killed(rdeploy, "create", "--name", "counted", "--file", config,
                  RDEPLOY_TEST_COUNT=str(counted))
    assert "no address" in done.stdout + done.stderr
    rdeploy("destroy", "counted", "--yes")
    points = int(counted.read_text())
    # How often the addresses are asked for at the end depends on the time that it takes.
    chosen = sorted({1 + n * (points * 3 // 4) // 8 for n in range(9)})
    try:
        for point in chosen:
            name = f"killed-{point}"
            done = killed(rdeploy, "create", "--name", name, "--file", config,
                          RDEPLOY_TEST_KILL_AT=str(point))
            assert done.returncode == -signal.SIGKILL, (point, done.stdout, done.stderr)
            rdeploy("destroy", name, "--yes")
            assert here.ours() == ["rd-00000000-0"], f"killed at {point} of {points}"
    finally:
        foreign.undefine()
    assert len(chosen) >= 8


def test_destroy_killed_in_the_middle_then_destroy_leaves_nothing(killable, here, tmp_path):
    rdeploy, config = killable
    rdeploy("create", "--name", "it", "--file", config, check=False)
    short = rdeploy.json("list", "--all")[0]["uuid"][:8]
    assert len([name for name in here.domains() if name.startswith(f"rd-{short}-")]) == 2
    for point in (6, 15):
        done = killed(rdeploy, "destroy", "it", "--yes", RDEPLOY_TEST_KILL_AT=str(point))
        assert done.returncode == -signal.SIGKILL
    rdeploy("destroy", "it", "--yes")
    assert not [name for name in here.ours() if short in name]


def test_each_failure_of_many_is_told(rig, here):
    xml = here.define("broken", "").XMLDesc(3)
    here.connection.defineXML(xml.replace("/vmlinuz", "/nonexistent"))
    with pytest.raises(EachFailed, match="2 of 2 failed") as caught:
        rig(template_name="broken", amount=2)[1].create_servers()
    assert "does not start" in caught.value.details
