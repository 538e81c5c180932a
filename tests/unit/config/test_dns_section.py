"""``dns`` at the top of a config: for every provider's block whose servers are the cloud's."""

import json

import pytest

from rally_deploy.config import mask_secrets, parse, validate
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry
from rally_deploy.testing.contract import open_deployment
from tests.unit.hosts.nsupdate_web import NsupdateWeb

DNS = {"server": "192.0.2.53", "zone": "lab.example.net", "key_name": "k", "key_secret": "bWU="}
SERVERS = {"type": "ExistingServers", "credentials": ["root@192.0.2.1"]}


def read(**tree):
    return parse(json.dumps(tree, indent=1), "it.json")


def problems(**tree):
    with pytest.raises(ConfigError) as caught:
        validate(read(**tree), Registry(), {})
    return caught.value.problems


def test_dns_counts_for_the_engines_provider():
    document = read(type="DistroEngine", provider=SERVERS, dns=DNS)
    assert document.data == {"type": "DistroEngine", "provider": {**SERVERS, "dns": DNS}}
    assert validate(document, Registry(), {}) == []
    assert "bWU=" not in str(mask_secrets(document.data, Registry()))


def test_dns_counts_for_every_node_but_those_with_their_own():
    own = {"nsupdate_url": "http://ns.example.net/"}
    second, third = ({**SERVERS, "credentials": [f"root@192.0.2.{n}"]} for n in (2, 3))
    node = {"type": "DistroEngine", "provider": second, "controller": "{controller_ip}"}
    document = read(
        dns=DNS, type="MultihostEngine", controller={
            "type": "DistroEngine", "roles": ["controller"], "provider": SERVERS},
        nodes=[node, {**node, "provider": {**third, "dns": own}}])
    blocks = [document.data["controller"], *document.data["nodes"]]
    assert [block["provider"]["dns"] for block in blocks] == [DNS, DNS, own]
    assert validate(document, Registry(), {}) == []


def test_servers_that_only_carry_containers_get_no_names():
    lxc = {"type": "LxcProvider", "containers_per_host": 1, "host_provider": SERVERS}
    engine = {"type": "LxcEngine", "provider": SERVERS, "containers_per_host": 1,
              "engine": {"type": "DistroEngine", "provider": SERVERS}}
    document = read(dns=DNS, type="MultihostEngine",
                    controller={"type": "DistroEngine", "provider": lxc}, nodes=[engine])
    assert document.data["controller"]["provider"] == {**lxc, "dns": DNS}
    assert document.data["nodes"] == [engine]


@pytest.mark.parametrize("tree", [
    {"type": "ExistingCloud", "creds": {}},
    {"type": "LxcEngine", "provider": SERVERS, "engine": {"type": "DistroEngine"}},
    {"type": "DistroEngine", "provider": {**SERVERS, "dns": DNS}},
    {"type": "DistroEngine", "provider": "lab"},
])
def test_dns_that_counts_for_no_provider_is_a_mistake_at_its_place(tree):
    problem, = problems(**tree, dns=DNS)
    assert problem.path == "dns"
    assert problem.line > 1
    assert "no provider's block" in problem.message


def test_mistake_in_it_is_told_where_it_stands():
    problem, = problems(type="DistroEngine", dns={**DNS, "zone": "a..b"}, provider=SERVERS)
    assert problem.path == "provider.dns.zone"
    text = json.dumps({"type": "DistroEngine", "dns": {**DNS, "zone": "a..b"}}, indent=1)
    assert problem.line == text[:text.index('"a..b"')].count("\n") + 1


def test_named_provider_of_a_libcloud_section_gets_it():
    named = {"driver": "dummy", "driver_args": {"creds": "2"}, "image": "Ubuntu 9.10"}
    document = read(type="DistroEngine", provider="lab", dns=DNS,
                    libcloud={"providers": {"lab": named}})
    assert document.data["provider"]["dns"] == DNS


def test_servers_are_named_at_create_and_hosts_are_not(deployer, tmp_path):
    world = str(tmp_path / "world")
    hosts = {"type": "FakeProvider", "world": str(tmp_path / "hosts")}
    with NsupdateWeb() as web:
        document = read(type="FakeEngine", world=world, dns={"nsupdate_url": web.url}, provider={
            "type": "FakeProvider", "world": world, "amount": 2, "host_provider": hosts})
        entity = open_deployment(deployer, document.data)
        entity.deploy()
    short = entity.record.short
    assert sorted(web.records) == [f"rd-{short}-server-0", f"rd-{short}-server-1"]
