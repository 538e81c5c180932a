import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally_deploy.hosts import addresses


def test_host_networks_are_counted_up_by_their_own_size():
    assert [str(addresses.host_network("10.1.1.7/29", n)) for n in range(3)] == [
        "10.1.1.0/29", "10.1.1.8/29", "10.1.1.16/29"
    ]


@given(st.integers(1, 4000))
def test_prefix_leaves_room_for_host_network_and_broadcast(containers):
    network = ipaddress.IPv4Network((0, addresses.prefix_for(containers)))
    assert network.num_addresses >= containers + 3
    addresses.container_address(network, containers - 1)


@given(st.text(max_size=40), st.integers(1, 60), st.integers(18, 26))
def test_candidates_of_hosts_are_in_the_pool_and_never_the_same(seed, hosts, prefix):
    seen = [
        c for n in range(hosts) for c in addresses.free_candidates(seed, n, hosts, prefix, 4)
    ]
    assert len(set(seen)) == len(seen)
    assert all(c.subnet_of(addresses.POOL) for c in seen)


def test_container_beyond_its_network_is_refused():
    network = ipaddress.IPv4Network("10.0.0.0/29")
    assert addresses.container_address(network, 4) == "10.0.0.6"
    with pytest.raises(ValueError, match="no address for container 5"):
        addresses.container_address(network, 5)


def test_mac_is_stable_local_and_of_one_machine():
    assert addresses.mac_address("a") == addresses.mac_address("a") != addresses.mac_address("b")
    first = int(addresses.mac_address("a").split(":")[0], 16)
    assert first & 0b11 == 0b10


def test_interface_name_longer_than_the_kernel_takes_is_refused():
    assert addresses.interface_name("1a2b3c4d", "v0z9") == "rd1a2b3c4d-v0z9"
    with pytest.raises(ValueError, match="too long"):
        addresses.interface_name("1a2b3c4d", "v0z9x")


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_both_ends_of_a_tunnel_come_to_the_same_addresses(here, there):
    if here == there:
        return
    one = addresses.tunnel_addresses(str(here), str(there))
    other = addresses.tunnel_addresses(str(there), str(here))
    assert (one.here, one.there, one.identifier) == (other.there, other.here, other.identifier)
    assert one.here != one.there
    assert 0 < one.identifier < 2**24


@pytest.mark.parametrize(
    ("network", "containers", "expected"),
    [
        ("10.1.2.0/24", 1, "10.1.2.128-10.1.2.254"),
        ("10.1.2.0/24", 200, "10.1.2.202-10.1.2.254"),
        ("10.1.2.0/28", 2, ""),
    ],
)
def test_free_range_leaves_the_containers_their_addresses(network, containers, expected):
    assert addresses.free_range(ipaddress.IPv4Network(network), containers) == expected
