"""What two blocks of a MultihostEngine must not both want, found before anything is made."""

import pytest

from rally_deploy import config as configs
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry

HERE = {"host": "localhost", "user": "root", "connection": "local"}


def named(*credentials):
    return {"type": "ExistingServers", "credentials": list(credentials)}


def stacked(*credentials, engine="DevstackEngine", **keys):
    """An OpenStack straight on servers."""
    return {"type": engine, "provider": named(*credentials), **keys}


def distro(*credentials, **keys):
    return stacked(*credentials, engine="DistroEngine", **keys)


def contained(*credentials, network="", **keys):
    """An OpenStack in a container of each server."""
    return {"type": "DevstackEngine", **keys, "provider": {
        "type": "LxcProvider", "containers_per_host": 1, "start_lxc_network": network,
        "host_provider": named(*credentials)}}


def cloned(*credentials, network="", **keys):
    return {"type": "LxcEngine", "containers_per_host": 4, "start_lxc_network": network,
            "provider": named(*credentials), "engine": {"type": "DevstackEngine"}, **keys}


def problems(controller, *nodes):
    """Path -> message of all that is wrong."""
    config = {"type": "MultihostEngine", "controller": controller, "nodes": list(nodes)}
    try:
        configs.validate(config, Registry(), {})
    except ConfigError as error:
        return {p.path: p.message for p in error.problems}
    return {}


@pytest.mark.parametrize("entry", [
    "root@192.0.2.1", "ops@192.0.2.1:22", {"host": "192.0.2.1", "user": "root", "port": 22},
])
def test_node_on_the_controllers_server_is_a_mistake(entry):
    found = problems(stacked("root@192.0.2.1"), stacked("root@192.0.2.2", entry))
    assert found == {"nodes[0].provider.credentials[1]": (
        "controller has this server already: name another one, or make containers on it by "
        "LxcProvider or LxcEngine")}


def test_two_nodes_on_one_server_are_a_mistake_whatever_their_engines():
    found = problems(stacked("root@c"), stacked(HERE), distro(HERE), stacked("root@N"),
                     stacked("root@n"))
    assert list(found) == [
        "nodes[1].provider.credentials[0]", "nodes[3].provider.credentials[0]"]
    assert found["nodes[1].provider.credentials[0]"].startswith("nodes[0] has")


def test_variable_that_is_not_set_hides_no_conflict():
    entry = {"host": "192.0.2.1", "user": "root", "password": "${env:RD_NOT_THERE}"}
    found = problems(stacked(entry), stacked(entry))
    assert sorted(found) == [
        "controller.provider.credentials[0].password", "nodes[0].provider.credentials[0]",
        "nodes[0].provider.credentials[0].password"]


@pytest.mark.parametrize("other", [
    "root@192.0.2.1:2222", "root@192.0.2.11",
    {"host": "192.0.2.1", "user": "root", "jump": "root@gate"},
])
def test_servers_that_only_look_alike_are_valid(other):
    assert problems(stacked("root@192.0.2.1"), stacked(other)) == {}


def test_containers_beside_an_openstack_on_the_same_host_are_valid():
    assert problems(stacked(HERE), cloned(HERE)) == {}
    assert problems(contained(HERE), cloned(HERE), cloned(HERE), contained(HERE)) == {}


@pytest.mark.parametrize(("controller", "nodes"), [
    (stacked("root@c"), [cloned("root@h", network="10.1.1.0/24"),
                         cloned("root@h", network="10.1.1.7/24")]),
    (contained("root@h", network="10.1.0.0/16"), [cloned("root@h", network="10.1.1.0/24")]),
    # The second host of the first has the next network.
    (contained("root@g", "root@h", network="10.1.0.0/24"),
     [cloned("root@h", network="10.1.1.0/24")]),
])
def test_networks_of_two_blocks_that_overlap_on_one_host_are_a_mistake(controller, nodes):
    (found,) = problems(controller, *nodes).items()
    assert found[0] == f"nodes[{len(nodes) - 1}].start_lxc_network"
    assert "is on the same host as 10.1." in found[1]
    assert "give each a network of its own" in found[1]


def test_network_of_containers_that_a_provider_makes_is_told_there():
    found = problems(stacked("root@c"), contained("root@h", network="10.1.1.0/24"),
                     contained("root@h", network="10.1.1.0/24"))
    assert list(found) == ["nodes[1].provider.start_lxc_network"]


def test_network_of_a_node_with_count_on_a_named_host_is_a_mistake():
    found = problems(stacked("root@c"), cloned("root@h", network="10.1.1.0/24", count=2))
    assert list(found) == ["nodes[0].start_lxc_network"]
    assert found["nodes[0].start_lxc_network"].startswith(
        "each of the 2 nodes would make 10.1.1.0/24 on the same host")


def test_networks_that_are_no_two_on_one_host_are_valid():
    assert problems(
        contained("root@h", network="10.1.0.0/24"), cloned("root@h", network="10.1.1.0/24"),
        cloned("root@i", network="10.1.0.0/24"), cloned("root@h", count=2)) == {}


@pytest.mark.parametrize("local_conf", [
    {"ENABLED_SERVICES": "n-cpu"},
    {"ENABLED_SERVICES": "n-cpu,placement-client", "ENABLED_SERVICES+": ",ovn-controller"},
    {"[[local|localrc]]": {"ENABLED_SERVICES": "n-cpu"}},
])
@pytest.mark.parametrize("key", ["local_conf", "localrc"])
def test_controller_with_the_services_of_a_compute_is_a_mistake(local_conf, key):
    (found,) = problems(stacked("root@c", **{key: local_conf}), stacked("root@n")).items()
    assert found[0].startswith(f"controller.{key}")
    assert found[0].endswith("ENABLED_SERVICES")
    assert "none of these is a service of a controller" in found[1]


@pytest.mark.parametrize("local_conf", [
    {}, {"ENABLED_SERVICES+": ",-n-cpu"}, {"ENABLED_SERVICES": "key,mysql"},
    {"ENABLED_SERVICES": "n-cpu", "ENABLED_SERVICES+": ",key,rabbit"},
    {"ENABLED_SERVICES": "$MY_SERVICES"}, {"ENABLED_SERVICES": None},
    "[[local|localrc]]\nENABLED_SERVICES=n-cpu\n",
])
def test_controller_with_other_services_is_valid(local_conf):
    node = stacked("root@n", local_conf={"ENABLED_SERVICES": "n-cpu"})
    assert problems(stacked("root@c", local_conf=local_conf), node) == {}


@pytest.mark.parametrize("broken", [
    {"provider": 5}, {"provider": named(5, {}, {"host": 5}, "x")}, {"provider": {}},
    {"provider": {"type": "ExistingServers", "credentials": "x"}}, {"start_lxc_network": 5},
    {"start_lxc_network": "x"}, {"count": "x"}, {"type": 5}, {"local_conf": 5},
])
@pytest.mark.parametrize("make", [stacked, cloned])
def test_blocks_with_mistakes_of_their_own_are_passed_over(broken, make):
    found = problems({**make("root@c"), **broken}, {**make("root@n"), **broken})
    assert found
    assert not [text for text in found.values() if "is broken" in text]
