import jsonschema
import pytest

from rally_deploy.engines.distro import DistroEngine, schema


def messages(**block):
    return dict(DistroEngine.check_config({"type": "DistroEngine", **block}))


def test_schema_is_valid_and_documents_every_key():
    jsonschema.Draft202012Validator.check_schema(schema.CONFIG_SCHEMA)
    undocumented = [
        key for key, value in schema.CONFIG_SCHEMA["properties"].items()
        if not value.get("description")
    ]
    assert undocumented == []


def test_example_validates():
    validator = jsonschema.Draft202012Validator(schema.CONFIG_SCHEMA)
    assert [list(validator.iter_errors(e)) for e in schema.CONFIG_SCHEMA["examples"]] == [[]]


def test_every_password_is_marked_as_a_secret():
    passwords = schema.CONFIG_SCHEMA["properties"]["passwords"]["properties"]
    assert all(value["x-secret"] for value in passwords.values())


def test_block_without_optional_keys_has_no_mistakes():
    assert messages() == {}


def test_nova_without_neutron_is_a_mistake():
    found = messages(services=["keystone", "glance", "placement", "nova"])
    assert found == {"services[3]": "nova needs neutron"}


def test_services_without_keystone_are_a_mistake():
    assert messages(services=[]) == {}  # absent is the default
    assert messages(services=["glance"])["services"] == "nothing works without keystone"


@pytest.mark.parametrize(
    ("roles", "path"),
    [(["compute"], "roles[0]"), (["all", "controller"], "roles[1]"), (["controller"], "roles[0]")],
)
def test_roles_that_make_no_cloud_are_a_mistake(roles, path):
    assert path in messages(roles=roles)


@pytest.mark.parametrize(
    ("network", "path"),
    [
        ({"cidr": "10.0.0.0/33"}, "networks[0].cidr"),
        ({"cidr": "10.0.0.0/24", "gateway": "10.0.1.1"}, "networks[0].gateway"),
        ({"cidr": "10.0.0.0/24", "free_range": "10.0.0.5"}, "networks[0].free_range"),
        ({"cidr": "10.0.0.0/24", "free_range": "10.0.0.5-10.0.1.5"}, "networks[0].free_range"),
    ],
)
def test_network_with_wrong_addresses_is_a_mistake(network, path):
    assert path in messages(networks=[{"name": "n", **network}])
