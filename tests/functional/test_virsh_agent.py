"""Addresses that only QEMU's guest agent can tell, from real agents in real clones."""

import contextlib
import re
import signal
import time
from xml.etree import ElementTree

import libvirt
import pytest

from rally_deploy.serverprovider.virsh import refusal
from tests.functional import small_guest
from tests.functional.libvirt_rig import Libvirtd, free_net
from tests.functional.sshd_hosts import sh, until
from tests.functional.virsh_deployments import deployments

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(600), pytest.mark.xdist_group("libvirt"),
]

# As an administrator joins his guests to a network of the site: libvirt has no part in it.
SITE = "<network><name>site</name><forward mode='bridge'/><bridge name='{}'/></network>"

LEASE, AGENT = 0, 1


@contextlib.contextmanager
def bridge():
    """A bridge of this machine: yields its name, and the first three numbers of its addresses."""
    net, number = free_net(60)
    name = f"rdtsite{number}"
    sh("ip", "link", "add", name, "type", "bridge")
    try:
        sh("ip", "address", "add", f"{net}.1/24", "dev", name)
        sh("ip", "link", "set", name, "up")
        yield name, net
    finally:
        sh("ip", "link", "delete", name)


@pytest.fixture(scope="module")
def here(guest):
    small_guest.add_agent(guest)
    with bridge() as (name, net), Libvirtd(guest) as here:
        here.site = net
        here.connection.networkCreateXML(SITE.format(name))
        yield here


@pytest.fixture
def rig(tmp_path, monkeypatch, here):
    """Makes (deployment, provider) of clones that take their key from cloud-init's disk."""
    with deployments(tmp_path, monkeypatch, here) as make:
        yield lambda **keys: make(template_key="", **keys)


def booted(here, provider, amount):
    """Clones in which all is started, so that little time is enough for what comes then."""
    provider.make_clones(amount)
    until(lambda: sum("the guest is up" in text for text in here.consoles()) == amount, "clones")


def channel_of(domain):
    """(path of the socket, whether somebody listens in the guest) of the agent's channel."""
    channel, = ElementTree.fromstring(domain.XMLDesc()).iterfind("devices/channel")
    return channel.find("source").get("path"), channel.find("target").get("state")


def told(domain, source):
    """The addresses that one source of libvirt's tells."""
    try:
        found = domain.interfaceAddresses(source)
    except libvirt.libvirtError:
        return []
    return [entry["addr"] for name, one in found.items() if name != "lo"
            for entry in one["addrs"] or () if ":" not in entry["addr"]]


def test_clones_on_a_network_of_the_site_are_found_each_by_its_own_agent(rig, here):
    here.define("sited", f"rdt.deaf rdt.address={here.site}.N", network="site", agent=True)
    entity, provider = rig(template_name="sited", amount=3, memory_mb=112)
    servers = provider.create_servers()
    assert [server.host for server in servers] == [f"{here.site}.{100 + n}" for n in range(3)]
    assert [server.jump for server in servers] == [None] * 3
    assert [entity.ssh(s).run(["cat", "/sys/class/net/eth0/address"]).stdout.strip()
            for s in servers] == [s.facts["macs"][0] for s in servers]
    domains = [here.connection.lookupByName(server.name) for server in servers]
    assert [told(domain, LEASE) for domain in domains] == [[]] * 3
    assert [told(domain, AGENT) for domain in domains] == [[s.host] for s in servers]
    channels = [channel_of(domain) for domain in domains]
    assert {state for _, state in channels} == {"connected"}
    # None of them is the one that the template's definition names.
    assert len({path for path, _ in channels} | {f"{here.folder}/template-agent"}) == 4
    # A new libvirtd finds the agents again; a resume asks them.
    here.stop_libvirtd(signal.SIGKILL)
    here.start_libvirtd()
    here.reconnect()
    assert provider.create_servers() == servers


def test_lease_and_agent_agree_and_the_guest_has_the_memory_and_cpus_of_the_block(rig, here):
    here.define("leased", "", agent=True)
    entity, provider = rig(template_name="leased", memory_mb=160, vcpus=2)
    server, = provider.create_servers()
    domain = here.connection.lookupByName(server.name)
    until(lambda: told(domain, AGENT) == [server.host], "the agent")
    assert told(domain, LEASE) == [server.host]
    shell = entity.ssh(server)
    assert shell.run(["nproc"]).stdout == "2\n"
    kb = int(shell.script("awk '/MemTotal/ {print $2}' /proc/meminfo").stdout)
    assert 110_000 < kb < 160 << 10


def test_clones_with_the_static_address_of_their_template_are_told(rig, here):
    # libvirt's DHCP is there, and knows nothing of them.
    here.define("fixed", f"rdt.deaf rdt.address={here.net}.200", agent=True)
    _, provider = rig(template_name="fixed", amount=2, memory_mb=112)
    with pytest.raises(refusal.AddressShared, match=f"both have the address {here.net}.200") as it:
        provider.create_servers()
    assert "static address" in it.value.details


def test_guest_whose_agent_has_no_address_to_tell_is_told(rig, here):
    here.define("bare", "rdt.deaf", network="site", agent=True)
    _, provider = rig(template_name="bare", memory_mb=112, timeout_s=2)
    booted(here, provider, 1)
    with pytest.raises(refusal.NoAddress, match="network site") as caught:
        provider.create_servers()
    row = provider.deployment.ledger.alive("virsh_domain")[0]
    assert f"QEMU's guest agent answers: eth0 ({row.facts['macs'][0]}) has " in \
        caught.value.details
    assert "the template's MAC address" in caught.value.remedy


def test_agent_that_hangs_holds_nobody_up(rig, here):
    here.define("hanging", f"rdt.deaf rdt.address={here.site}.N rdt.agent=hangs", network="site",
                agent=True)
    _, provider = rig(template_name="hanging", memory_mb=112, timeout_s=2)
    booted(here, provider, 1)
    begin = time.monotonic()
    with pytest.raises(refusal.NoAddress, match="no address within . s") as caught:
        provider.create_servers()
    assert time.monotonic() - begin < 60
    assert "QEMU's guest agent does not answer: " in caught.value.details
    assert any("left alone: " in text and "guest-network-get-interfaces" in text
               for text in here.consoles())


def test_template_without_channel_then_without_agent_is_told_what_it_lacks(rig, here):
    def error():
        _, provider = rig(template_name="light", timeout_s=1)
        with pytest.raises(refusal.NoAddress, match="who has which address on the network") as it:
            provider.create_servers()
        # Such a network can have no DHCP of libvirt's.
        assert "net-edit" not in it.value.remedy
        return it.value

    xml = here.define("light", memory_mb=32, network="site").XMLDesc()
    first = error()
    assert "guest agent" not in first.details
    channel = re.search("<channel.*</channel>", first.remedy)[0]
    here.connection.defineXML(xml.replace("</devices>", f"{channel}</devices>"))
    second = error()
    assert "QEMU's guest agent does not answer: " in second.details
    assert "put the package qemu-guest-agent into it" in second.remedy
