"""Neutron through openstacksdk: which calls it makes, at which address, and what it costs."""

import subprocess
import sys
from collections import Counter

import pytest

from rally_deploy.errors import ResourceConflict
from rally_deploy.serverprovider.openstack import network
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal


def test_create_makes_no_call_that_a_plain_client_would_not_make(cloud, provided):
    provided(amount=3, floating_network="public")[1].create_servers()
    root = "/network/v2.0"
    asked = Counter(
        (method, "/".join(path.split("/")[:4]))
        for method, path in cloud.asked if path.startswith("/network"))
    assert asked == {
        ("GET", f"{root}/networks"): 1, ("GET", f"{root}/quotas"): 1,
        ("POST", f"{root}/security-groups"): 1, ("POST", f"{root}/security-group-rules"): 1,
        ("POST", f"{root}/floatingips"): 3, ("GET", f"{root}/ports"): 1,
        ("GET", f"{root}/floatingips"): 1, ("PUT", f"{root}/floatingips"): 3,
    }


@pytest.mark.parametrize("path", ["/network/", "/network/v2.0", "/network/v2.0/"])
def test_catalog_may_have_a_version_or_a_slash_at_the_end(cloud, provided, path):
    cloud.network_path = path
    assert provided(amount=1)[1].create_servers()


def test_next_page_is_asked_for_at_the_address_of_the_catalog(cloud, provided):
    provider = provided(amount=5)[1]
    servers = [server.facts["instance_id"] for server in provider.create_servers()]
    cloud.page = 2
    begin = cloud.count("GET", "/ports$")
    found = network.ports_of(provider._cloud, servers)
    assert [len(found[server]) for server in servers] == [1] * 5
    assert cloud.count("GET", "/ports$") == begin + 3


def test_client_that_would_try_again_by_itself_does_not(cloud, provided):
    client = provided()[1]._cloud
    cloud.fail("POST", "/security-groups$", "cut after")
    with pytest.raises(CloudRefusal, match="no answer"):
        client.network.post("/security-groups", json={"security_group": {"name": "one"}},
                            connect_retries=3)
    assert cloud.count("POST", "/security-groups$") == 1


def test_sdk_is_imported_with_the_first_question_to_neutron():
    program = (
        "import sys\n"
        "from rally_deploy.serverprovider.openstack import cloud, network, preflight, provider\n"
        "found = [m for m in sys.modules if m.partition('.')[0] == 'openstack']\n"
        "from rally_deploy.serverprovider.openstack import neutron\n"
        "print(found, 'openstack.connection' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[] True"


def test_foreign_group_of_our_name_is_named_and_left(cloud, provided):
    entity, provider = provided(amount=1)
    name = f"rd-{entity.record.short}-ssh"
    cloud.groups["g1"] = {"id": "g1", "name": name, "project_id": "p", "description": "theirs"}
    cloud.fail("POST", "/security-groups$", "cut before")
    with pytest.raises(ResourceConflict, match=f"{name} is there") as caught:
        provider.create_servers()
    assert caught.value.details == "id g1, description 'theirs'"
    assert list(cloud.groups) == ["g1"]
