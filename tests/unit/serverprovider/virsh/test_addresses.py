"""Where the addresses of clones come from, and what is told if there are none."""

import contextlib

import libvirt
import pytest

from rally_deploy.serverprovider.virsh import addresses
from rally_deploy.serverprovider.virsh.refusal import (
    AddressShared,
    CloneFailed,
    NoAddress,
    PoolFull,
)


class Addresses:
    """Stands for the domains of a hypervisor: what each answers."""

    def __init__(self, uuid, interfaces, state=(1, 1), sent=0):
        self.uuid, self._interfaces, self._state, self._sent = uuid, interfaces, state, sent

    def state(self):
        return list(self._state)

    def interfaceAddresses(self, source):
        return self._interfaces if source == 2 else {}

    def interfaceStats(self, mac):
        if self._sent is None:
            raise libvirt.libvirtError("this function is not supported")
        return 0, 0, 0, 0, self._sent * 300, self._sent, 0, 0


class StandIn:
    """As much of a Hypervisor as a wait for addresses asks for."""

    class way:
        uri = label = "qemu:///system"

    class libvirt:
        leases = []

        @classmethod
        def networkLookupByName(cls, name):
            return cls

        @classmethod
        def DHCPLeases(cls):
            return cls.leases

    def alive(self):
        return True

    def doing(self, what):
        from rally_deploy.serverprovider.virsh import refusal
        return refusal.told(what)


def running(name, mac, address, **keys):
    entry = {"vnet0": {"hwaddr": mac, "addrs": [{"addr": address, "prefix": 24, "type": 0}]}}
    return addresses.Running(name, Addresses(name, entry if address else {}, **keys), [mac])


def wait_for(rig, clones, leases=True, timeout_s=0.1, **keys):
    entity, _ = rig()
    around = addresses.Surroundings("lan", leases=leases, **{"behind": True, **keys})
    return addresses.await_addresses(entity, StandIn(), clones, around, timeout_s)


def test_two_clones_with_one_address_are_told_with_the_machine_id(rig):
    clones = [running("a", "52:54:00:00:00:01", "10.0.0.9"),
              running("b", "52:54:00:00:00:02", "10.0.0.9")]
    with pytest.raises(AddressShared, match="a and b both have the address 10.0.0.9") as caught:
        wait_for(rig, clones)
    assert "machine-id" in caught.value.remedy
    assert "a static address" in caught.value.details


def test_network_without_dhcp_is_told(rig):
    with pytest.raises(NoAddress, match="the network lan has no DHCP"):
        wait_for(rig, [running("a", "52:54:00:00:00:01", "")], leases=False)


def test_network_that_can_have_no_dhcp_of_libvirts_is_not_told_to_get_one(rig):
    clone = running("a", "52:54:00:00:00:01", "")
    with pytest.raises(NoAddress, match="libvirt does not know who has which address on") as told:
        wait_for(rig, [clone], leases=False, behind=False)
    assert "net-edit" not in told.value.remedy
    assert "name='org.qemu.guest_agent.0'" in told.value.remedy


class WithAgent(Addresses):
    """A clone whose guest has an agent; ``told`` is an error, or what its interfaces are."""

    def __init__(self, uuid, told, **keys):
        super().__init__(uuid, {}, **keys)
        self.told, self.limits = told, []

    def interfaceAddresses(self, source):
        if source != 1:
            return {}
        if isinstance(self.told, str):
            raise libvirt.libvirtError(self.told)
        return self.told

    def agentSetResponseTimeout(self, seconds):
        self.limits.append(seconds)


def interface(mac, *there):
    return {"lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"addr": "127.0.0.1"}]},
            "eth0": {"hwaddr": mac.upper(), "addrs": [{"addr": a} for a in there] or None}}


def with_agent(name, mac, *there, **keys):
    return addresses.Running(name, WithAgent(name, interface(mac, *there), **keys), [mac])


@pytest.mark.parametrize("there", [["10.0.0.9"], []])
def test_agent_may_take_long_again_once_it_has_been_asked(rig, there):
    clone = with_agent("a", "52:54:00:00:00:01", *there)
    with contextlib.nullcontext() if there else pytest.raises(NoAddress):
        assert wait_for(rig, [clone], agent=True) == {"a": "10.0.0.9"}
    within, after = clone.domain.limits
    assert 0 < within < 60
    assert after == libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK


def test_agent_of_a_libvirt_that_cannot_limit_it_is_asked_all_the_same(rig):
    class Older(WithAgent):
        def agentSetResponseTimeout(self, seconds):
            raise libvirt.libvirtError("this function is not supported")

    mac = "52:54:00:00:00:01"
    clone = addresses.Running("a", Older("a", interface(mac, "10.0.0.9")), [mac])
    assert wait_for(rig, [clone], agent=True) == {"a": "10.0.0.9"}


def test_agent_that_knows_of_no_address_is_told_with_what_it_knows(rig):
    clone = with_agent("a", "52:54:00:00:00:01", "169.254.0.7", "fe80::7")
    with pytest.raises(NoAddress) as caught:
        wait_for(rig, [clone], agent=True)
    assert caught.value.details == (
        "a: QEMU's guest agent answers: eth0 (52:54:00:00:00:01) has 169.254.0.7, fe80::7")
    assert "the template's MAC address" in caught.value.remedy
    assert "qemu-guest-agent" not in caught.value.remedy


def test_agent_that_does_not_answer_is_told_with_libvirts_words(rig):
    clone = with_agent("a", "52:54:00:00:00:01")
    clone.domain.told = "QEMU guest agent is not connected"
    with pytest.raises(NoAddress) as caught:
        wait_for(rig, [clone], agent=True)
    assert caught.value.details == \
        "a: QEMU's guest agent does not answer: QEMU guest agent is not connected"
    assert "put the package qemu-guest-agent into it" in caught.value.remedy


def test_clone_that_tells_its_address_itself_has_lost_none_to_another(rig, monkeypatch):
    lease = {"mac": "52:54:00:00:00:02", "ipaddr": "10.0.0.9", "clientid": "ff:00:00:00:01"}
    monkeypatch.setattr(StandIn.libvirt, "leases", [lease])
    clones = [with_agent("a", "52:54:00:00:00:01", "10.0.0.8", sent=2),
              running("b", "52:54:00:00:00:02", "10.0.0.9")]
    clones[1].domain.agentSetResponseTimeout = lambda seconds: None
    assert wait_for(rig, clones, agent=True) == {"a": "10.0.0.8", "b": "10.0.0.9"}


def test_arp_table_that_libvirt_cannot_read_is_told(rig):
    class Blind(Addresses):
        def interfaceAddresses(self, source):
            raise libvirt.libvirtError("wrong nlmsg len")

    clone = addresses.Running("a", Blind("a", {}), ["52:54:00:00:00:01"])
    with pytest.raises(NoAddress) as caught:
        wait_for(rig, [clone], leases=False)
    assert "cannot read its host's ARP table: wrong nlmsg len" in caught.value.details


def test_guest_that_asks_for_no_address_is_named_and_the_others_are_not(rig):
    clones = [running("a", "52:54:00:00:00:01", ""), running("b", "52:54:00:00:00:02", "10.0.0.9")]
    with pytest.raises(NoAddress, match="^a: no address within") as caught:
        wait_for(rig, clones)
    assert "machine-id" in caught.value.remedy


@pytest.mark.parametrize(("identity", "sent", "error"), [
    ("01:52:54:00:00:00:02", 2, NoAddress),
    ("ff:56:50:4d:98:00:02:00:00:ab:11:01:02:03:04", 2, AddressShared),
    # It has not even asked: it does not boot. Or nobody knows.
    ("ff:56:50:4d:98:00:02:00:00:ab:11:01:02:03:04", 0, NoAddress),
    ("ff:56:50:4d:98:00:02:00:00:ab:11:01:02:03:04", None, NoAddress),
])
def test_lease_that_is_not_by_mac_tells_who_took_the_address_over(
    rig, monkeypatch, identity, sent, error
):
    lease = {"mac": "52:54:00:00:00:02", "ipaddr": "10.0.0.9", "clientid": identity}
    monkeypatch.setattr(StandIn.libvirt, "leases", [lease])
    clones = [running("a", "52:54:00:00:00:01", "", sent=sent),
              running("b", "52:54:00:00:00:02", "10.0.0.9")]
    with pytest.raises(error) as caught:
        wait_for(rig, clones)
    assert "machine-id" in caught.value.remedy


def test_clone_that_lost_its_lease_to_another_is_told_though_it_has_an_address_yet(
    rig, monkeypatch
):
    lease = {"mac": "52:54:00:00:00:02", "ipaddr": "10.0.0.9", "clientid": "ff:00:00:00:01"}
    monkeypatch.setattr(StandIn.libvirt, "leases", [lease])
    clones = [running("a", "52:54:00:00:00:01", "10.0.0.8"),
              running("b", "52:54:00:00:00:02", "10.0.0.9")]
    with pytest.raises(AddressShared, match="b and a have one address between them, 10.0.0.9"):
        wait_for(rig, clones)


@pytest.mark.parametrize(("state", "error", "text"), [
    ((5, 1), CloneFailed, "a is shut off"),
    ((6, 1), CloneFailed, "a is crashed"),
])
def test_clone_that_ends_while_it_is_waited_for_is_told_at_once(rig, state, error, text):
    with pytest.raises(error, match=text):
        wait_for(rig, [running("a", "52:54:00:00:00:01", "", state=state)], timeout_s=60)


def test_halted_clone_on_a_full_pool_is_told(rig):
    clone = running("a", "52:54:00:00:00:01", "", state=(3, 5))
    clone.domain.diskErrors = lambda: {"vda": 2}
    with pytest.raises(PoolFull, match="its disk cannot be written"):
        wait_for(rig, [clone], timeout_s=60)


def test_address_is_of_the_first_interface_and_rather_ipv4():
    macs = ["52:54:00:00:00:01", "52:54:00:00:00:02"]

    def entry(mac, *addresses):
        return {"hwaddr": mac.upper(), "addrs": [{"addr": a, "prefix": 24} for a in addresses]}

    found = {
        "lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"addr": "127.0.0.1", "prefix": 8}]},
        "eth1": entry(macs[1], "10.0.1.7"), "eth0": entry(macs[0], "fe80::1", "2001:db8::7"),
        "agent": {"hwaddr": macs[0], "addrs": None},
    }
    assert addresses.best_address(found, macs) == "10.0.1.7"
    found["eth0"] = entry(macs[0], "169.254.1.1", "10.0.0.7")
    assert addresses.best_address(found, macs) == "10.0.0.7"
    assert addresses.best_address(found, ["52:54:00:00:00:09"]) == ""
