import pytest

from rally_deploy.hosts.tunnel import Tunnel, key_file
from rally_deploy.ssh.keys import make_wireguard_key, wireguard_public_key

NETWORKS = ("10.1.2.0/24",)


def test_vxlan_commands_make_device_address_and_routes():
    tunnel = Tunnel("vxlan", "rdt0", "192.0.2.1", "192.0.2.2", NETWORKS)
    inner = tunnel.inner
    assert tunnel.commands() == [
        f"ip link add rdt0 type vxlan id {inner.identifier} dstport 4789 "
        "local 192.0.2.1 remote 192.0.2.2",
        f"ip addr add {inner.here}/31 dev rdt0",
        "ip link set rdt0 up",
        f"ip route add 10.1.2.0/24 via {inner.there} dev rdt0",
    ]


@pytest.mark.parametrize("kind", ["ipip", "gre"])
def test_layer_3_tunnels_have_both_outer_addresses(kind):
    assert Tunnel(kind, "rdt0", "192.0.2.1", "192.0.2.2").commands()[0] == (
        f"ip link add rdt0 type {kind} local 192.0.2.1 remote 192.0.2.2"
    )


def test_far_end_is_the_mirror_image():
    tunnel = Tunnel("vxlan", "rdt0", "192.0.2.1", "192.0.2.2")
    far = tunnel.far_end(NETWORKS, "rdf0")
    assert (far.here, far.there, far.device) == ("192.0.2.2", "192.0.2.1", "rdf0")
    assert (far.inner.here, far.inner.there) == (tunnel.inner.there, tunnel.inner.here)
    assert far.inner.identifier == tunnel.inner.identifier
    assert f"via {tunnel.inner.here}" in far.commands()[-1]


def test_wireguard_ends_know_each_other_by_public_keys_only():
    mine, theirs = make_wireguard_key(), make_wireguard_key()
    end = Tunnel("wireguard", "rdt0", "192.0.2.1", "192.0.2.2", NETWORKS,
                 key_file("rd-x"), wireguard_public_key(theirs))
    device, wg, *_ = end.commands()
    port = 51820 + end.inner.identifier % 8192
    assert device == "ip link add rdt0 type wireguard"
    assert wg == (
        f"wg set rdt0 listen-port {port} private-key /run/rd-x.wireguard "
        f"peer {wireguard_public_key(theirs)} allowed-ips 0.0.0.0/0 endpoint 192.0.2.2:{port}"
    )
    assert mine not in wg
    assert theirs not in wg
