import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally_deploy.hosts.lxc_place import Attachment, Place, base36, own_network, problems_of
from rally_deploy.model import Server

HOST = Server("192.0.2.1")


@given(st.integers(0, 10**9))
def test_base36_is_read_back_by_int(number):
    assert int(base36(number), 36) == number


def test_own_network_makes_the_host_gateway_and_name_server():
    place = Place(1, HOST, "rd-base-x", own_network("rdb", "10.1.1.0/24"))
    made = place.container(3, "rd-1-3", "1a2b3c4d", 16)
    assert made.address == "10.1.1.5/24"
    assert made.gateway == made.nameservers == "10.1.1.1"
    assert made.veth == "rd1a2b3c4d-vj"


def test_static_addresses_count_up_from_the_first_one():
    place = Place(0, HOST, "b", Attachment("br0", "10.9.0.0/24", "10.9.0.254", "host", "10.9.0.9"))
    assert place.container(2, "n", "1a2b3c4d", 4).address == "10.9.0.11/24"


def test_dhcp_leaves_the_address_open():
    assert Place(0, HOST, "b", Attachment("br0")).container(0, "n", "1a2b3c4d", 4).address == ""


@pytest.mark.parametrize(("config", "path", "said"), [
    ({"start_lxc_network": "10.1.1.0/30", "containers_per_host": 2}, "start_lxc_network",
     "10.1.1.0/30 has 4 addresses; 2 containers per host need 5"),
    ({"start_lxc_network": "10.1.1"}, "start_lxc_network", "not an IPv4 network"),
    ({"start_lxc_network": "127.1.0.0/16"}, "start_lxc_network",
     "127.1.0.0/16 reaches into 127.0.0.0/8, which no container can use"),
    ({"start_lxc_network": "224.0.1.0/24"}, "start_lxc_network", "into 224.0.0.0/3"),
    ({"start_lxc_network": "255.255.255.0/24"}, "start_lxc_network", "into 224.0.0.0/3"),
    ({"start_lxc_network": "223.255.255.0/24", "provider": {"credentials": ["a@b", "a@c"]}},
     "start_lxc_network",
     "the networks of 2 hosts, from 223.255.255.0/24 on, reach into 224.0.0.0/3"),
    ({"start_lxc_network": "126.255.0.0/16", "host_provider": {"amount": 2}},
     "start_lxc_network", "reach into 127.0.0.0/8"),
    ({"start_lxc_network": "10.1.1.0/24", "network_bridge": "br0"}, "start_lxc_network",
     "not together"),
    ({"ipv4_start_address": "10.1.1.9", "network_bridge": "br0"}, "ipv4_start_address",
     "needs 'ipv4_prefixlen'"),
    ({"ipv4_start_address": "10.1.1.9", "ipv4_prefixlen": 24}, "ipv4_start_address",
     "needs 'network_bridge'"),
    ({"ipv4_start_address": "10.1.1.9", "ipv4_prefixlen": 29, "network_bridge": "br0",
      "containers_per_host": 7}, "ipv4_start_address", "no 7 addresses"),
    ({"ipv4_start_address": "x", "ipv4_prefixlen": 24, "network_bridge": "br0"},
     "ipv4_start_address", "not an IPv4 address"),
    ({"tunnel_to": ["10.0.0.1", "far.away"]}, "tunnel_to[1]", "not an IPv4 address"),
])
def test_mistake_that_a_schema_cannot_see_is_found(config, path, said):
    found = problems_of(config)
    assert [p for p, _ in found] == [path]
    assert said in found[0][1]


@pytest.mark.parametrize("config", [
    {}, {"start_lxc_network": "10.1.1.0/29", "containers_per_host": 5},
    {"start_lxc_network": "223.255.254.0/24", "provider": {"credentials": ["a@b", "a@c"]}},
    {"ipv4_start_address": "", "ipv4_prefixlen": 20, "network_bridge": "br0"},
    {"tunnel_to": []},
])
def test_good_block_has_no_problems(config):
    assert problems_of(config) == []


@given(st.dictionaries(
    st.sampled_from(["start_lxc_network", "ipv4_start_address", "ipv4_prefixlen", "tunnel_to",
                     "network_bridge", "containers_per_host", "provider", "host_provider"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9),
              st.lists(st.text(max_size=4), max_size=2), st.ip_addresses(v=4).map(str),
              st.dictionaries(st.sampled_from(["credentials", "amount"]), st.one_of(
                  st.none(), st.integers(), st.lists(st.integers(), max_size=2)))),
))
def test_any_values_give_problems_and_never_a_traceback(config):
    assert all(isinstance(path, str) and message for path, message in problems_of(config))
