import pytest

from rally_deploy.config import Document
from rally_deploy.errors import UsageError
from rally_deploy.hosts.tagged import Tagged, parse_tagged
from rally_deploy.model import Server
from rally_deploy.on_hosts import HERE, known_hosts, parse_address


def test_only_names_with_a_tag_are_ours():
    found = parse_tagged([
        "container\trd-0123abcd-web-0-000", "container\trd-base-0123456789ab", "container\tweb",
        "interface\trd0123abcdbr0", "interface\tbr0", "interface\trd-br", "interface\trdtbr0",
        "firewall rules\trd-0123abcd-net", "firewall rules\trd-0123abcd-net", "",
        "files\tmy-rd-0123abcd-cloud", "files\tboard-0123abcd-x",
    ])
    assert found == [
        Tagged("container", "rd-0123abcd-web-0-000", "0123abcd"),
        Tagged("files", "my-rd-0123abcd-cloud", "0123abcd"),
        Tagged("firewall rules", "rd-0123abcd-net", "0123abcd"),
        Tagged("interface", "rd0123abcdbr0", "0123abcd"),
    ]


@pytest.mark.parametrize(("text", "server"), [
    ("h", Server("h")), ("jo@h", Server("h", "jo")), ("jo@h:2222", Server("h", "jo", 2222)),
])
def test_address_has_user_and_port_where_given(text, server):
    assert parse_address(text) == server


@pytest.mark.parametrize("text", ["", "@", "jo@", "h:x", "jo@:22"])
def test_address_that_is_none_is_an_error(text):
    with pytest.raises(UsageError, match="is not"):
        parse_address(text)


def test_this_machine_is_always_known_and_machines_we_made_are_not(deployer, config):
    deployer.create(Document(config))
    hosts = known_hosts(deployer.store, ["jo@gate"])
    assert [host.server.label for host in hosts] == [HERE.label, "gate"]
