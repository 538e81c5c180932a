"""LxcProvider on hosts in memory: what it asks of which host, and what servers come out."""

import pytest

from rally_deploy import config
from rally_deploy.errors import EachFailed, HostError, LeftOver
from rally_deploy.hosts.lxc_base import BaseImage
from rally_deploy.model import ResourceState
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.lxc import LxcProvider
from rally_deploy.ssh.keys import make_private_key, public_key
from rally_deploy.testing.contract import ProviderContract, open_deployer, open_deployment
from tests.functional.lxc_rig import GivenHosts
from tests.unit.hosts.fake_host import Hosts

LOCAL = {"host": "localhost", "connection": "local", "name": "here"}
REMOTE = [{"host": "192.0.2.1", "name": "one"}, {"host": "192.0.2.2", "name": "two"}]


def block_on(hosts, **keys):
    return {
        "type": "LxcProvider", "containers_per_host": 2,
        "host_provider": {"type": "GivenHosts", "hosts": hosts}, **keys,
    }


@pytest.fixture
def hosts():
    return Hosts()


@pytest.fixture
def provided(tmp_path, recorder, hosts):
    """Makes an LxcProvider of a new deployment, with the servers that it gives."""
    (tmp_path / "store").mkdir()
    with open_deployer(
        tmp_path / "store", LxcProvider, GivenHosts, watcher=recorder, shells=lambda: hosts
    ) as deployer:

        def make(on=REMOTE, **keys):
            block = block_on(on, **keys)
            entity = open_deployment(
                deployer, {"type": "FakeEngine", "world": str(tmp_path), "provider": block}
            )
            return entity, entity.provider(block)

        yield make


class TestLxcContract(ProviderContract):
    plugin = LxcProvider

    @pytest.fixture
    def block(self):
        self.hosts = Hosts()
        return block_on(REMOTE)

    @pytest.fixture
    def deployer(self, block, tmp_path):
        with open_deployer(
            tmp_path, LxcProvider, GivenHosts, shells=lambda: self.hosts
        ) as deployer:
            yield deployer

    def leftovers(self, block):
        return sorted(name for things in self.hosts.things.values() for name in things)


def test_containers_of_remote_hosts_are_reached_by_a_jump(provided):
    entity, provider = provided(start_lxc_network="10.1.1.0/24")
    servers = provider.create_servers()
    short = entity.record.short
    assert [(s.name, s.host, s.jump.label) for s in servers] == [
        (f"rd-{short}-0-000", "10.1.1.2", "one"), (f"rd-{short}-0-001", "10.1.1.3", "one"),
        (f"rd-{short}-1-000", "10.1.2.2", "two"), (f"rd-{short}-1-001", "10.1.2.3", "two"),
    ]
    assert len({s.private_key for s in servers}) == 1
    assert all(s.resource_id for s in servers)


def test_containers_of_this_machine_are_reached_directly(provided):
    _, provider = provided([LOCAL])
    assert [s.jump for s in provider.create_servers()] == [None, None]


def test_forward_gives_the_hosts_address_and_ports_from_1222(provided):
    _, provider = provided(REMOTE[:1], forward_ssh=True)
    servers = provider.create_servers()
    assert {(s.host, s.port, s.jump) for s in servers} == {
        ("192.0.2.1", 1222, None), ("192.0.2.1", 1223, None)
    }


def test_default_networks_of_hosts_differ(provided):
    _, provider = provided()
    assert len({s.host.rsplit(".", 1)[0] for s in provider.create_servers()}) == 2


def test_static_addresses_go_on_over_the_hosts(provided):
    _, provider = provided(
        network_bridge="br0", ipv4_start_address="10.9.0.20", ipv4_prefixlen=24
    )
    assert [s.host for s in provider.create_servers()] == [
        f"10.9.0.{n}" for n in (20, 21, 22, 23)
    ]


def test_empty_prefix_length_is_not_set_like_an_empty_address(provided):
    empty = {"ipv4_start_address": "", "ipv4_prefixlen": ""}
    block = {**block_on([], network_bridge="br0", **empty), "host_provider": {
        "type": "ExistingServers", "credentials": ["root@h"]}}
    assert config.validate(block, Registry(), {}, "provider") == []
    _, provider = provided(REMOTE[:1], network_bridge="br0", containers_per_host=1, **empty)
    assert [s.host for s in provider.create_servers()] == ["10.9.0.77"]


def test_host_that_no_network_is_left_for_is_told(provided):
    _, provider = provided(start_lxc_network="255.255.255.0/24")
    with pytest.raises(EachFailed) as caught:
        provider.create_servers()
    assert "two: no network is left for it from 255.255.255.0/24 on" in caught.value.details


def test_dhcp_address_is_kept_with_the_container(provided, hosts):
    entity, provider = provided(REMOTE[:1], network_bridge="br0", containers_per_host=1)
    assert [s.host for s in provider.create_servers()] == ["10.9.0.77"]
    row = next(r for r in provider.deployment.ledger.alive() if r.kind == "lxc_container")
    assert row.facts["address"] == "10.9.0.77"


@pytest.mark.parametrize(("amount", "shares"), [(1, [1, 0]), (3, [2, 1]), (6, [3, 3])])
def test_amount_is_spread_over_the_hosts(provided, amount, shares):
    _, provider = provided()
    servers = provider.create_servers(amount=amount)
    assert [sum(s.jump.label == host for s in servers) for host in ("one", "two")] == shares


@pytest.mark.parametrize(("prefix", "part"), [
    ("rd", "-0-000"), ("rally-multinode-02-", "-rally-multinode-02-0-000"),
    ("a_b.c", "-a-b-c-0-000"),
])
def test_prefix_is_part_of_a_name_that_is_a_host_name(provided, prefix, part):
    entity, provider = provided(REMOTE[:1], container_name_prefix=prefix)
    assert provider.create_servers()[0].name == f"rd-{entity.record.short}{part}"


def test_missing_packages_are_installed_and_the_user_is_told(provided, hosts, recorder):
    hosts.missing = {"lxc", "rsync"}
    _, provider = provided([LOCAL])
    provider.create_servers()
    assert hosts.whats().count("install") == 1
    assert "installed lxc, rsync: they stay after the end" in [e.title for e in recorder.events]


def test_nothing_is_installed_where_all_is_there(provided, hosts):
    provided([LOCAL])[1].create_servers()
    assert "install" not in hosts.whats()


def test_ubuntu_elsewhere_is_the_newest_that_its_debootstrap_knows(provided, hosts):
    provided([LOCAL], distribution="ubuntu")[1].create_servers()
    assert list(hosts.plain.values()) == [BaseImage("ubuntu", "noble").name]


def test_old_lxc_is_refused_before_anything_is_made(provided, hosts):
    hosts.lxc_version = "4.0.6"
    _, provider = provided([LOCAL])
    with pytest.raises(HostError, match="its LXC is 4.0.6; 5.0 or later is needed"):
        provider.create_servers()
    assert hosts.things == {}


def test_user_who_is_not_root_is_told_of_become(provided, hosts):
    hosts.uid = "1000"
    with pytest.raises(HostError, match="need root") as caught:
        provided([LOCAL])[1].create_servers()
    assert "become" in caught.value.remedy


def test_tunnels_between_own_hosts_have_both_ends(provided, hosts):
    _, provider = provided(tunnel_to=["192.0.2.2"], tunnel_type="vxlan")
    provider.create_servers()
    ends = [label for label, what, _ in hosts.commands if what == "make_tunnel"]
    assert sorted(ends) == ["one", "two"]


def test_tunnel_to_a_foreign_machine_tells_what_is_to_be_done_there(provided, recorder):
    _, provider = provided(
        REMOTE[:1], tunnel_to=["203.0.113.9"], tunnel_type="vxlan",
        start_lxc_network="10.1.1.0/24",
    )
    provider.create_servers()
    note = next(e.title for e in recorder.events if str(e.kind) == "note")
    assert note.startswith("on 203.0.113.9, to reach 10.1.1.0/24:")
    assert "local 203.0.113.9 remote 192.0.2.1" in note
    assert "ip route add 10.1.1.0/24 via" in note


def test_container_that_does_not_start_leaves_rows_that_destroy_removes(provided, hosts):
    entity, provider = provided(REMOTE[:1], containers_per_host=1)
    hosts.refused["start"] = 68, "no such bridge"
    with pytest.raises(HostError, match="does not start") as caught:
        provider.create_servers()
    assert "no such bridge" in caught.value.details
    row = next(r for r in provider.deployment.ledger.alive() if r.kind == "lxc_container")
    assert row.state is ResourceState.INTENDED
    provider.destroy_servers()
    assert hosts.things == {"one": set()}


def test_removal_that_a_host_refuses_is_told_and_done_by_the_next_destroy(provided, hosts):
    entity, provider = provided()
    provider.create_servers()
    hosts.refused["remove"] = 1, "device is busy"
    with pytest.raises(LeftOver, match="could not be removed") as caught:
        provider.destroy_servers()
    assert "device is busy" in caught.value.details
    hosts.refused.clear()
    provider.destroy_servers()
    assert hosts.things == {"one": set(), "two": set()}


def test_public_key_belongs_to_the_private_one():
    key = make_private_key()
    assert key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert public_key(key, "me@here").split()[::2] == ["ssh-ed25519", "me@here"]
    assert public_key(key) == public_key(key)
