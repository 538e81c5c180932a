"""VirshProvider on libvirt's own test driver: clones, conflicts, what is told apart."""

from types import SimpleNamespace

import pytest

from rally_deploy.errors import (
    AuthenticationFailed,
    EachFailed,
    LeftOver,
    ResourceConflict,
    Unreachable,
)
from rally_deploy.model import ResourceState, Server
from rally_deploy.serverprovider.virsh import VirshProvider, addresses, logins
from rally_deploy.serverprovider.virsh.domain_xml import TAG
from rally_deploy.serverprovider.virsh.refusal import (
    CloneFailed,
    NetworkUnfit,
    PoolFull,
    PoolUnfit,
    TemplateUnfit,
)
from rally_deploy.serverprovider.virsh.way import parse
from rally_deploy.testing.contract import ProviderContract
from tests.unit.serverprovider.virsh.hypervisor import DISK, NIC


class TestVirshProviderKeepsTheContract(ProviderContract):
    plugin = VirshProvider

    @pytest.fixture(autouse=True)
    def _hypervisor(self, hypervisor):
        self.hypervisor = hypervisor

    @pytest.fixture
    def block(self, hypervisor):
        return hypervisor.block

    @pytest.fixture
    def deployer(self, deployer):
        return deployer

    def leftovers(self, block):
        return self.hypervisor.ours()


def test_clones_are_tagged_run_and_have_all_of_their_own(rig, hypervisor):
    entity, provider = rig(memory_mb=128, vcpus=3)
    servers = provider.create_servers()
    short = entity.record.short
    assert [server.name for server in servers] == [f"rd-{short}-0", f"rd-{short}-1"]
    assert len({server.host for server in servers}) == 2
    domains = [hypervisor.lookup(server.name) for server in servers]
    assert [domain.isActive() for domain in domains] == [1, 1]
    assert all(entity.uuid in domain.metadata(2, TAG) for domain in domains)
    assert [domain.UUIDString() for domain in domains] == [s.facts["uuid"] for s in servers]
    assert [(d.maxMemory(), d.maxVcpus()) for d in domains] == [(128 << 10, 3)] * 2
    texts = [domain.XMLDesc() for domain in domains]
    for server, text in zip(servers, texts, strict=True):
        assert server.facts["macs"][0] in text
        assert f"/default-pool/{server.name}-vda-" in text
        assert f"/default-pool/{server.name}-console-" in text
    volumes = [hypervisor.pool.storageVolLookupByName(n) for n in hypervisor.pool.listVolumes()
               if n.startswith("rd-")]
    assert len(volumes) == 2
    assert all("<path>/default-pool/tpl.qcow2</path>" in v.XMLDesc() for v in volumes)


def test_copy_has_no_backing_file(rig, hypervisor):
    _, provider = rig(clone="copy", amount=1)
    provider.create_servers()
    volume = next(n for n in hypervisor.pool.listVolumes() if n.startswith("rd-"))
    assert "backingStore" not in hypervisor.pool.storageVolLookupByName(volume).XMLDesc()


def test_server_takes_our_key_where_the_password_lets_us_put_it(rig, shells):
    _, provider = rig(amount=1, template_user="ubuntu")
    server = provider.create_servers()[0]
    assert "PRIVATE KEY" in server.private_key
    assert (server.password, server.become) == ("sesame", True)
    placing = [(s.become, stdin) for s, _, stdin in shells.seen if "authorized_keys" in stdin]
    assert len(placing) == 1
    assert placing[0][0] is False
    assert not [command for _, command, _ in shells.seen if "sesame" in command]


def test_key_of_the_template_is_used_as_it_is(rig, shells, tmp_path):
    key = tmp_path / "key"
    key.write_text("text")
    _, provider = rig(amount=1, template_key=str(key), template_password="")
    server = provider.create_servers()[0]
    assert (server.key, server.private_key, server.become) == (str(key), None, False)
    assert not [stdin for _, _, stdin in shells.seen if "authorized_keys" in stdin]


def test_user_without_writable_home_keeps_the_password(rig, shells, recorder):
    from rally_deploy.ssh.base import Result

    shells.answer = lambda server, command: Result(
        command, 1 if "sh -s" in command else 0, "", "read-only", 0.0)
    _, provider = rig(amount=1)
    server = provider.create_servers()[0]
    assert (server.private_key, server.password) == (None, "sesame")
    assert [e for e in recorder.events if "no key of ours" in e.title]


def test_clone_that_was_ended_is_started_by_next_create(rig, hypervisor):
    _, provider = rig(amount=1)
    server = provider.create_servers()[0]
    hypervisor.lookup(server.name).destroy()
    again = provider.create_servers()
    assert [s.name for s in again] == [server.name]
    assert hypervisor.lookup(server.name).isActive()


def test_clone_that_is_gone_is_made_anew_with_new_disks(rig, hypervisor):
    _, provider = rig(amount=2)
    first = provider.create_servers()
    before = set(hypervisor.pool.listVolumes())
    domain = hypervisor.lookup(first[0].name)
    domain.destroy()
    domain.undefine()
    second = provider.create_servers()
    assert second[0].facts["uuid"] != first[0].facts["uuid"]
    assert second[1].facts["uuid"] == first[1].facts["uuid"]
    assert len(before ^ set(hypervisor.pool.listVolumes())) == 2


def test_foreign_domain_of_our_name_is_named_and_left_alone(rig, hypervisor):
    entity, provider = rig(amount=1)
    foreign = hypervisor.domain(f"rd-{entity.record.short}-0")
    try:
        with pytest.raises(ResourceConflict, match="not ours"):
            provider.create_servers()
        provider.destroy_servers()
        assert foreign.UUIDString() == hypervisor.lookup(foreign.name()).UUIDString()
        assert provider.deployment.ledger.alive() == []
    finally:
        foreign.undefine()


def test_domain_of_ours_with_anothers_tag_is_not_removed(rig, hypervisor):
    entity, provider = rig(amount=1)
    server = provider.create_servers()[0]
    domain = hypervisor.lookup(server.name)
    domain.setMetadata(2, "<x uuid='somebody'/>", "rdeploy", TAG, 3)
    with pytest.raises(Exception, match="not ours any more"):
        provider.destroy_servers()
    assert hypervisor.lookup(server.name).isActive()
    domain.setMetadata(2, f"<deployment uuid='{entity.uuid}'/>", "rdeploy", TAG, 3)


def test_missing_template_names_those_there_are(rig):
    _, provider = rig(template_name="tple")
    with pytest.raises(TemplateUnfit, match="no domain 'tple'") as caught:
        provider.create_servers()
    assert "did you mean 'tpl'?" in caught.value.remedy
    assert "test" in caught.value.details


def test_running_template_is_refused_and_nothing_is_made(rig, hypervisor):
    hypervisor.lookup("tpl").create()
    entity, provider = rig()
    with pytest.raises(TemplateUnfit, match="is running") as caught:
        provider.create_servers()
    assert "shutdown tpl" in caught.value.remedy
    assert provider.deployment.ledger.alive() == []


def test_template_started_later_stops_a_resume_of_overlays_but_not_of_copies(rig, hypervisor):
    _, overlays = rig(amount=1)
    _, copies = rig(amount=1, clone="copy")
    overlays.create_servers()
    copies.create_servers()
    hypervisor.lookup("tpl").create()
    assert len(copies.create_servers()) == 1
    with pytest.raises(TemplateUnfit, match="is running"):
        overlays.create_servers()


def test_template_saved_in_mid_work_is_refused(rig, hypervisor):
    template = hypervisor.lookup("tpl")
    template.create()
    template.managedSave(0)
    try:
        with pytest.raises(TemplateUnfit, match="saved in mid-work"):
            rig()[1].create_servers()
    finally:
        template.managedSaveRemove(0)


@pytest.mark.parametrize(("disk", "text"), [
    ("", "has no disk"),
    (DISK.format("/elsewhere/x.qcow2"), "is in no storage pool"),
])
def test_template_without_a_disk_in_a_pool_is_refused(rig, hypervisor, disk, text):
    hypervisor.domain("bad", disk)
    with pytest.raises(TemplateUnfit, match=text) as caught:
        rig(template_name="bad")[1].create_servers()
    assert caught.value.remedy


def test_template_without_interface_needs_network(rig, hypervisor):
    hypervisor.domain("deaf", nic="")
    with pytest.raises(TemplateUnfit, match="no network interface"):
        rig(template_name="deaf")[1].create_servers()
    servers = rig(template_name="deaf", network="default", amount=1)[1].create_servers()
    assert "<source network='default'/>" in hypervisor.lookup(servers[0].name).XMLDesc()


def test_network_that_is_missing_or_inactive_is_told(rig, hypervisor):
    with pytest.raises(NetworkUnfit, match="no network 'nowhere'") as caught:
        rig(network="nowhere")[1].create_servers()
    assert "default" in caught.value.details
    network = hypervisor.connection.networkLookupByName("default")
    network.destroy()
    try:
        with pytest.raises(NetworkUnfit, match="not active") as caught:
            rig()[1].create_servers()
        assert "net-start default" in caught.value.remedy
    finally:
        network.create()


def test_pool_that_is_missing_or_inactive_is_told(rig, hypervisor):
    with pytest.raises(PoolUnfit, match="no storage pool 'nowhere'"):
        rig(pool="nowhere")[1].create_servers()
    other = hypervisor.connection.storagePoolDefineXML(
        "<pool type='dir'><name>other</name><target><path>/other</path></target></pool>")
    try:
        with pytest.raises(PoolUnfit, match="not active") as caught:
            rig(pool="other")[1].create_servers()
        assert "pool-start other" in caught.value.remedy
    finally:
        other.undefine()


def test_too_full_pool_is_told_before_anything_is_made(rig, hypervisor):
    hypervisor.pool.createXML(
        "<volume><name>big</name><capacity>107370000000</capacity>"
        "<allocation>107370000000</allocation></volume>")
    entity, provider = rig()
    with pytest.raises(PoolFull, match="too full") as caught:
        provider.create_servers()
    assert "8 MiB are needed" in caught.value.details
    assert provider.deployment.ledger.alive() == []


def test_wrong_password_ends_and_names_what_to_check(rig, shells, monkeypatch):
    monkeypatch.setattr(logins, "_REFUSED_FOR_S", 0.0)

    def refuse(server, command):
        raise AuthenticationFailed(server, "user root cannot log in")

    shells.answer = refuse
    _, provider = rig(amount=2)
    with pytest.raises(EachFailed, match="cannot log in") as caught:
        provider.create_servers()
    assert "template_password" in caught.value.remedy


def logged_in(rig, shells, connection, refuse):
    """What is raised by the wait for a clone behind a network of this hypervisor."""
    def answer(server, command):
        raise refuse(server, "no")

    shells.answer = answer
    entity, _ = rig()
    hypervisor = SimpleNamespace(way=parse(connection))
    around = addresses.Surroundings("lan", behind=True)
    clone = Server(host="192.0.2.7", name="rd-1-0")
    with pytest.raises(CloneFailed) as caught:
        logins.wait_for_login(entity, hypervisor, [clone], around, 0.1)
    return caught.value


@pytest.mark.parametrize("connection", ["qemu+tls://h/system", "qemu+tcp://h/system"])
def test_clone_behind_a_host_that_no_ssh_leads_to_is_told_with_what_to_do(
    rig, shells, connection
):
    error = logged_in(rig, shells, connection, Unreachable)
    assert "of the network lan on h, which is reached from that machine only" in error.details
    assert "user@host" in error.remedy
    assert "'network'" in error.remedy


@pytest.mark.parametrize("connection", ["qemu:///system", "a@h"])
def test_clone_that_a_way_leads_to_is_not_told_to_be_behind_a_host(rig, shells, connection):
    error = logged_in(rig, shells, connection, Unreachable)
    assert "reached from that machine only" not in error.details
    assert "sshd" in error.remedy


@pytest.mark.parametrize(("connection", "jump"), [
    ("qemu+libssh://alex@h:2222/system", ("alex", "h", 2222)),
    ("qemu+ssh://alex@h/system?keyfile=/k", ("alex", "h", 22)),
    ("qemu+tls://h/system", None),
])
def test_clones_behind_a_host_are_reached_over_it_however_libvirt_gets_there(
    rig, connection, jump
):
    _, provider = rig(amount=1)
    provider.create_servers()
    row, = provider.deployment.ledger.alive("virsh_domain")
    provider.config = {**provider.config, "connection": connection}
    around = addresses.Surroundings("lan", behind=True)
    over = provider._server(row, "192.0.2.7", around).jump
    assert (over and (over.user, over.host, over.port)) == jump


def test_hypervisor_that_is_away_is_told_once_for_all_that_is_left(rig, recorder, tmp_path):
    _, provider = rig(amount=2)
    provider.create_servers()
    known, left = provider.config, provider.deployment.ledger.alive()
    away = f"qemu+unix:///system?socket={tmp_path}/none"
    provider.config = {**known, "connection": away}
    recorder.events.clear()
    with pytest.raises(LeftOver, match=f"{len(left)} resource.s. on .* could not be") as caught:
        provider.destroy_servers()
    assert len(left) > 4
    assert caught.value.details.count("libvirtd does not run") == 1
    assert [event for event in recorder.events if event.title.startswith("remove ")] == []
    assert {row.state for row in provider.deployment.ledger.alive()} == {ResourceState.LIVE}
    provider.config = known


def test_rows_are_live_with_their_facts(rig):
    entity, provider = rig(amount=1)
    provider.create_servers()
    rows = provider.deployment.ledger.alive()
    assert [row.kind for row in rows] == ["virsh_volume", "virsh_console_logs", "virsh_domain"]
    assert {row.state for row in rows} == {ResourceState.LIVE}
    assert rows[0].facts["path"].startswith("/default-pool/rd-")


def test_template_of_several_networks_and_a_bridge_asks_only_for_the_networks(rig, hypervisor):
    bridge = "<interface type='bridge'><source bridge='br0'/></interface>"
    hypervisor.domain("two", nic=NIC + bridge)
    servers = rig(template_name="two", amount=1)[1].create_servers()
    assert len(servers[0].facts["macs"]) == 2
