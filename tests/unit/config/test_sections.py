"""The ``libcloud`` section: providers by name, as in teuthology's documents."""

import json

import pytest

from rally_deploy.config import mask_secrets, parse, validate
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry

#: As it stands in teuthology's documents, under an engine of ours.
TEUTHOLOGY = """
libcloud:
  providers:
    ovh:  # This string is the 'machine type' value you will use when locking these nodes
      driver: openstack
      driver_args:  # driver args are passed directly to the libcloud driver
        username: 'my_ovh_username'
        password: 'my_ovh_password'
        ex_force_auth_url: 'https://auth.cloud.ovh.net/v2.0/tokens'
        ex_force_auth_version: '2.0_password'
        ex_tenant_name: 'my_tenant_name'
        ex_force_service_region: 'my_region'
      security_groups: [ssh]
type: DistroEngine
provider:
  type: LibcloudProvider
  provider: ovh
  image: ubuntu-22.04
  amount: 2
"""


def read(tree):
    return parse(json.dumps(tree, indent=1), "it.json")


def look_at(text):
    return validate(parse(text, "it.yaml"), Registry(), {})


def problems(text):
    with pytest.raises(ConfigError) as caught:
        look_at(text)
    return [str(problem) for problem in caught.value.problems]


def test_section_of_teuthologys_documents_is_read_as_it_stands():
    document = parse(TEUTHOLOGY, "it.yaml")
    assert "libcloud" not in document.data
    block = document.data["provider"]
    assert (block["driver"], block["pool"], block["amount"]) == ("openstack", "ovh", 2)
    assert block["driver_args"]["username"] == "my_ovh_username"
    assert block["security_groups"] == ["ssh"]
    warning, = validate(document, Registry(), {})
    assert "version 2" in str(warning)
    assert "my_ovh_password" not in str(mask_secrets(document.data, Registry()))


def test_name_alone_is_a_whole_block():
    named = {"driver": "dummy", "driver_args": {"creds": "2"}, "image": "Ubuntu 9.10"}
    document = read({
        "type": "MultihostEngine", "libcloud": {"providers": {"lab": named}},
        "controller": {"type": "DistroEngine", "provider": "lab"},
        "nodes": [{"type": "DistroEngine", "provider": {
            "type": "LxcProvider", "containers_per_host": 1, "host_provider": "lab"}}],
    })
    block = {"type": "LibcloudProvider", "pool": "lab", **named}
    assert document.data["controller"]["provider"] == block
    assert document.data["nodes"][0]["provider"]["host_provider"] == block


def test_block_goes_before_the_section():
    document = read({
        "type": "DistroEngine", "libcloud": {"providers": {"lab": {"driver": "ec2", "amount": 1}}},
        "provider": {"name": "LibcloudProvider", "provider": "lab", "amount": 5, "pool": "mine"},
    })
    assert document.data["provider"] == {
        "name": "LibcloudProvider", "driver": "ec2", "amount": 5, "pool": "mine"}


def test_mistake_in_the_section_is_told_at_its_place_there():
    found = problems(TEUTHOLOGY.replace("security_groups", "security_group"))
    assert found == [
        "it.yaml:13:7: provider.security_group: unknown key (did you mean 'security_groups'?)"]


def test_unknown_name_is_told_with_the_known_ones():
    assert problems(TEUTHOLOGY.replace("provider: ovh", "provider: ovg")) == [
        "it.yaml:17:13: provider.provider: there is no provider 'ovg' in 'libcloud: providers' "
        "(did you mean 'ovh'?)"]


def test_name_without_a_section_is_told():
    text = "type: DistroEngine\nprovider: {type: LibcloudProvider, provider: ovh, image: x}\n"
    found, = problems(text)
    assert "there is no provider 'ovh' in 'libcloud: providers'" in found


@pytest.mark.parametrize(("section", "message"), [
    ("[]", "libcloud: it must be an object, not a list"),
    ("{provider: {}}", "libcloud.provider: unknown key"),
    ("{providers: []}", "libcloud.providers: it must be an object of providers by name"),
    ("{providers: {a: openstack}}", "libcloud.providers.a: it must be an object, not a string"),
])
def test_malformed_section_is_a_mistake(section, message):
    found = problems(f"libcloud: {section}\ntype: DistroEngine\nprovider: {{type: X}}\n")
    assert any(message in problem for problem in found)


def test_string_in_place_of_a_block_is_a_mistake_where_there_is_no_section():
    found = problems("type: DistroEngine\nprovider: ovh\n")
    assert any("provider" in problem and "object" in problem for problem in found)
