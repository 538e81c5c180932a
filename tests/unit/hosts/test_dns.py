"""Names of servers in DNS: labels, the block in every provider, warnings and the ledger."""

import pytest

from rally_deploy.config import Document, mask_secrets, validate
from rally_deploy.errors import ConfigError
from rally_deploy.hosts.dns import _ALGORITHMS, SCHEMA, labels_of
from rally_deploy.hosts.dns_servers import NameServerFailed, SignedUpdates
from rally_deploy.model import Server, State
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.testing.contract import open_deployment
from tests.unit.hosts.name_server import NameServerThatTakesAll
from tests.unit.hosts.nsupdate_web import NsupdateWeb

SIGNED = {"server": "192.0.2.53", "zone": "lab.example.net", "key_name": "k", "key_secret": "bWU="}


def named(*names):
    return [Server(host=f"192.0.2.{n}", name=name) for n, name in enumerate(names)]


@pytest.mark.parametrize(("name", "label"), [
    ("rd-1a2b3c4d-server-0", "rd-1a2b3c4d-server-0"),
    ("Node_One.Example", "node-one-example"),
    ("-x-", "x"),
    ("a" * 70, "a" * 63),
    ("a" * 62 + "-b", "a" * 62),
    ("Übung 7", "bung-7"),
    ("___", "rd-1a2b3c4d-0"),
])
def test_label_of_a_server_is_one_that_dns_allows(name, label):
    assert labels_of(named(name), "rd-1a2b3c4d") == [label]


def test_labels_of_alike_names_differ():
    assert labels_of(named("a_b", "a-b", "A.B"), "rd-1") == ["a-b", "a-b-2", "a-b-3"]
    long = labels_of(named("x" * 80, "x" * 90), "rd-1")
    assert long == ["x" * 63, "x" * 61 + "-2"]


def test_server_without_a_name_is_called_as_its_host_or_after_our_tag():
    servers = [Server(host="node2.example.net"), Server(host="192.0.2.1"), Server(host="fe80::1")]
    assert labels_of(servers, "rd-1") == ["node2", "rd-1-1", "rd-1-2"]


@pytest.mark.parametrize("name", [entry[0] for entry in Registry().providers()])
def test_every_provider_takes_a_dns_block(name):
    schema = Registry().provider(name).CONFIG_SCHEMA
    assert schema["properties"]["dns"] is SCHEMA


def test_providers_own_key_of_that_name_stays_its_own():
    own = {"type": "string", "description": "the servers' resolver"}

    class Other(ServerProvider):
        CONFIG_SCHEMA = {"type": "object", "properties": {"type": {}, "dns": own}}

        def create_servers(self, image_uuid=None, type_id=None, amount=None):
            return [Server(host="192.0.2.1")]

    provider = Other(None, {"type": "Other", "dns": "192.0.2.53"})
    assert Other.CONFIG_SCHEMA["properties"]["dns"] is own
    assert provider.provide() == [Server(host="192.0.2.1")]


@pytest.mark.parametrize("name", ["k", "_k", "lab.example.net", "lab.example.net.", "a" * 63])
def test_zone_and_key_may_be_called_by_any_name_of_dns(name):
    assert problems({**SIGNED, "zone": name, "key_name": name}) == []


def problems(block):
    tree = {"type": "DistroEngine", "provider": {
        "type": "ExistingServers", "credentials": ["root@192.0.2.1"], "dns": block}}
    try:
        validate(Document(tree), Registry(), {})
    except ConfigError as error:
        return [(problem.path.removeprefix("provider."), problem.message)
                for problem in error.problems]
    return []


@pytest.mark.parametrize("block", [{"nsupdate_url": "http://ns.example.net/update"}, SIGNED])
def test_block_of_either_protocol_is_valid(block):
    assert problems(block) == []


@pytest.mark.parametrize(("block", "path"), [
    ({}, "dns.nsupdate_url"),
    ({"server": "192.0.2.53"}, "dns.zone"),
    ({**SIGNED, "nsupdate_url": "http://ns/"}, "dns"),
    ({"nsupdate_url": "http://ns/", "zone": "lab"}, "dns.server"),
    ({**SIGNED, "key_secret": "no base64!"}, "dns.key_secret"),
    ({**SIGNED, "key_algorithm": "md4"}, "dns.key_algorithm"),
    ({"nsupdate_url": "ns.example.net"}, "dns.nsupdate_url"),
    ({**SIGNED, "tlt": 5}, "dns.tlt"),
    ({**SIGNED, "zone": "lab..net"}, "dns.zone"),
    ({**SIGNED, "zone": "a" * 64 + ".net"}, "dns.zone"),
    ({**SIGNED, "zone": ".".join(["a" * 50] * 6)}, "dns.zone"),
    ({**SIGNED, "key_name": "-k"}, "dns.key_name"),
    ({**SIGNED, "key_name": "a..b"}, "dns.key_name"),
])
def test_wrong_block_is_a_mistake_at_its_key(block, path):
    assert path in [where for where, _ in problems(block)]


def test_key_secret_is_never_shown():
    tree = {"type": "DistroEngine", "provider": {"type": "ExistingServers", "dns": SIGNED}}
    assert mask_secrets(tree, Registry())["provider"]["dns"]["key_secret"] == "***"
    assert "bWU=" not in str(problems({**SIGNED, "key_secret": "bWU=!"}))


@pytest.fixture
def deploy(deployer, tmp_path):
    """Makes and runs a deployment in the world whose provider has this ``dns`` block."""

    def run(block):
        world = str(tmp_path / "world")
        entity = open_deployment(deployer, {
            "type": "FakeEngine", "world": world,
            "provider": {"type": "FakeProvider", "world": world, "amount": 2, "dns": block},
        })
        entity.deploy()
        return entity

    return run


def warnings(recorder):
    return [event.title for event in recorder.events if str(event.kind) == "warning"]


def records(deployer, entity, alive=True):
    return deployer.store.resources.list(entity.uuid, kind="dns_record", alive=alive)


def test_servers_are_named_and_the_names_recorded(deployer, deploy, recorder):
    with NsupdateWeb() as web:
        entity = deploy({"nsupdate_url": web.url})
    short = entity.record.short
    assert web.records == {
        f"rd-{short}-server-0": "192.0.2.1", f"rd-{short}-server-1": "192.0.2.2",
    }
    assert [row.name for row in sorted(records(deployer, entity), key=lambda r: r.key)] == [
        f"rd-{short}-server-0", f"rd-{short}-server-1"]
    assert warnings(recorder) == []


def test_query_that_the_url_has_already_is_kept(deploy):
    with NsupdateWeb() as web:
        deploy({"nsupdate_url": web.url + "?view=inner"})
    assert [asked["view"] for asked in web.asked] == ["inner", "inner"]


def test_destroy_tells_of_names_that_the_protocol_cannot_remove(deployer, deploy, recorder):
    with NsupdateWeb() as web:
        entity = deploy({"nsupdate_url": web.url})
        entity.destroy()
    assert records(deployer, entity) == []
    notes = [event.title for event in recorder.events if "stays" in event.title]
    assert len(notes) == 2


def test_refused_name_is_a_warning_with_the_servers_text(deployer, deploy, recorder):
    with NsupdateWeb() as web:
        web.refused = Refusing(403, "this name is not for you")
        entity = deploy({"nsupdate_url": web.url})
    assert entity.state is State.READY
    assert len(warnings(recorder)) == 2
    assert all("this name is not for you" in text for text in warnings(recorder))
    assert records(deployer, entity) == []


def test_absent_name_server_is_a_warning_and_leaves_nothing_to_remove(deployer, deploy, recorder):
    entity = deploy({**SIGNED, "server": "127.0.0.1", "port": 1})
    assert entity.state is State.READY
    assert "cannot be reached" in warnings(recorder)[0]
    entity.destroy()
    assert entity.state is State.DESTROYED


@pytest.fixture
def updates(answering):
    """Signed updates of a name server that takes them all."""

    def make(**keys):
        block = {**SIGNED, "server": "127.0.0.1", "port": answering.port, "ttl": 60,
                 "key_algorithm": "hmac-sha256", **keys}
        return SignedUpdates(block)

    return make


@pytest.fixture
def answering():
    with NameServerThatTakesAll(SIGNED["key_name"], SIGNED["key_secret"]) as server:
        yield server


@pytest.mark.parametrize("algorithm", _ALGORITHMS)
def test_update_is_signed_with_each_algorithm(updates, answering, algorithm):
    signed = updates(key_algorithm=algorithm)
    signed.publish("web", "192.0.2.1", "uuid")
    signed.remove("web", "192.0.2.1", "uuid")
    assert answering.algorithms == [algorithm] * 2


@pytest.mark.parametrize("wrong", [
    {"zone": "a..b"}, {"zone": "a" * 64}, {"key_name": "a..b"}, {"key_secret": "x"},
    {"zone": ".".join(["a" * 60] * 4)}, {"key_algorithm": "rot13"},
])
def test_update_that_cannot_be_written_is_told_as_unmade(updates, answering, wrong):
    with pytest.raises(NameServerFailed, match="no update can be written") as caught:
        updates(**wrong).publish("web" * 20, "192.0.2.1", "uuid")
    assert caught.value.unmade
    assert answering.algorithms == []


@pytest.mark.parametrize("wrong", [{"zone": "a..b"}, {"zone": "a" * 64}, {"key_name": "a..b"}])
def test_name_that_dns_cannot_write_needs_no_removal(updates, wrong):
    updates(**wrong).remove("web", "192.0.2.1", "uuid")


def test_name_whose_key_is_not_known_any_more_is_not_taken_for_removed(updates):
    with pytest.raises(NameServerFailed, match="no update can be written"):
        updates(key_secret="x").remove("web", "192.0.2.1", "uuid")


def test_update_that_cannot_be_written_leaves_nothing_that_keeps_a_destroy(
    deployer, deploy, recorder
):
    entity = deploy({**SIGNED, "zone": "lab..net"})
    assert "no update can be written" in warnings(recorder)[0]
    assert records(deployer, entity) == []
    entity.destroy()
    assert entity.state is State.DESTROYED


def test_refused_name_that_is_required_fails_the_deployment(deploy):
    with NsupdateWeb() as web:
        web.refused = Refusing(500, "nsupdate ended with 2")
        with pytest.raises(Exception, match="of 2 failed") as caught:
            deploy({"nsupdate_url": web.url, "required": True})
    assert all(isinstance(error, NameServerFailed) for _, error in caught.value.failures.values())
    assert "nsupdate ended with 2" in str(caught.value)


class Refusing(dict):
    """Refuses every name."""

    def __init__(self, status, text):
        self._answer = status, text

    def get(self, name, default=None):
        return self._answer


def test_names_of_a_host_provider_are_published_too(deployer, tmp_path):
    world = str(tmp_path / "world")
    with NsupdateWeb() as web:
        hosts = {"type": "FakeProvider", "world": str(tmp_path / "hosts"),
                 "dns": {"nsupdate_url": web.url}}
        open_deployment(deployer, {"type": "FakeEngine", "world": world, "provider": {
            "type": "FakeProvider", "world": world, "host_provider": hosts}}).deploy()
    assert list(web.records.values()) == ["192.0.2.1"]
