import jsonschema
import pytest

from rally_deploy import config
from rally_deploy.engines.distro import DistroEngine, schema
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry


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
    [(["compute"], "roles[0]"), (["all", "controller"], "roles[1]")],
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


def test_controller_alone_is_one_whose_computes_come_from_outside():
    assert messages(roles=["controller"]) == {}


def test_computes_of_a_controller_elsewhere_can_be_nothing_else():
    assert messages(controller="192.0.2.9") == {}
    assert messages(controller="192.0.2.9", roles=["compute", "compute"]) == {}
    found = messages(controller="192.0.2.9", roles=["compute", "all"],
                     images=[{"name": "i", "url": "/i"}])
    assert found == {
        "roles[1]": "the controller is elsewhere: this can only be a compute",
        "images": "they belong to the controller, which is elsewhere",
    }


@pytest.mark.parametrize(("roles", "path"), [
    ([], "roles"), (["all"], "roles[0]"), (["controller"], None),
    (["controller", "compute"], None), (["all", "compute"], None),
])
def test_controller_of_nodes_outside_must_let_them_in(roles, path):
    found = dict(DistroEngine.check_as_controller({"roles": roles}))
    assert list(found) == ([path] if path else [])


def multihost(controller, node):
    first, second = ({"type": "ExistingServers", "credentials": [f"root@192.0.2.{n}"]}
                     for n in (1, 2))
    tree = {"type": "MultihostEngine",
            "controller": {"type": "DistroEngine", "provider": first, **controller},
            "nodes": [{"type": "DistroEngine", "provider": second, **node}]}
    try:
        config.validate(tree, Registry(), {})
    except ConfigError as error:
        return [p.path for p in error.problems]
    return []


def test_node_of_a_multihost_is_a_compute_without_being_told():
    assert multihost({"roles": ["controller"]}, {}) == []
    assert multihost({"roles": ["controller"]}, {"roles": ["compute"]}) == []
    assert multihost({"roles": ["controller"]}, {"roles": ["all"]}) == ["nodes[0].roles[0]"]


def test_all_in_one_as_controller_of_a_multihost_is_a_mistake():
    assert multihost({}, {}) == ["controller.roles"]
    assert multihost({"roles": ["all"]}, {}) == ["controller.roles[0]"]
