import pytest

from rally_deploy import config
from rally_deploy.config.blocks import sounds_secret
from rally_deploy.config.schema import Subschemas
from rally_deploy.errors import PluginBroken
from rally_deploy.model import Credentials
from tests.unit.config.plugins import registry

SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "x-alias": ["name"]},
        "amount": {"type": "integer", "default": 1},
        "tags": {"type": "array", "default": []},
        "address": {"type": "string", "x-empty-is-absent": True, "default": "auto"},
        "note": {"type": "string"},
        "provider": {"type": "object", "x-plugin": "provider"},
        "nodes": {"type": "array", "items": {"type": "object", "x-plugin": "engine"}},
        "image": {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {
                    "format": {"type": "string", "default": "qcow2", "x-alias": ["fmt"]}}},
            ],
        },
        "hop": {"$ref": "#/$defs/hop"},
    },
    "$defs": {"hop": {"type": "object", "properties": {
        "port": {"type": "integer", "default": 22}, "hop": {"$ref": "#/$defs/hop"}}}},
}


def test_normalize_replaces_aliases_and_sets_defaults():
    assert config.normalize({"name": "X"}, SCHEMA) == {
        "type": "X", "amount": 1, "tags": [], "address": "auto",
    }


def test_normalize_takes_empty_as_absent_only_where_asked():
    found = config.normalize({"address": "", "note": ""}, SCHEMA)
    assert (found["address"], found["note"]) == ("auto", "")
    assert config.normalize({"address": None}, SCHEMA)["address"] == "auto"


def test_normalize_keeps_nested_plugin_blocks_as_they_are():
    provider, node = {"name": "P", "odd": ""}, {"name": "E"}
    found = config.normalize({"provider": provider, "nodes": [node]}, SCHEMA)
    assert found["provider"] is provider
    assert found["nodes"][0] is node


def test_normalize_goes_into_its_own_objects():
    assert config.normalize({"image": {"fmt": "raw"}}, SCHEMA)["image"] == {"format": "raw"}
    assert config.normalize({"image": {}}, SCHEMA)["image"] == {"format": "qcow2"}
    assert config.normalize({"image": "name"}, SCHEMA)["image"] == "name"
    assert config.normalize({"hop": {"hop": {"port": 1}}}, SCHEMA)["hop"] == {
        "port": 22, "hop": {"port": 1},
    }


def test_normalize_defaults_are_not_shared():
    config.normalize({}, SCHEMA)["tags"].append("x")
    assert config.normalize({}, SCHEMA)["tags"] == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize("schema", [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "allOf": [{"$ref": "#"}]},
])
def test_schema_that_refers_to_itself_does_not_hang(schema):
    assert Subschemas.of({}, schema).all


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "A"}, "A"),
        ({"name": "A"}, "A"),
        ({"openstack": {}}, "ExistingCloud"),
        ({"existing@openstack": {}}, "ExistingCloud"),
        ({"type": "A", "openstack": {}}, "A"),
        ({"type": "", "openstack": {}}, ""),
        ({"type": 3}, ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_plugin_name_is_type_or_name(block, expected):
    assert config.plugin_name(block) == expected


def test_resolve_env_replaces_what_is_there_and_leaves_the_rest():
    tree = {"a": "x${env:A}y${env:B}", "b": ["${env:A}", 1], "${env:A}": "${A} $A {env:A}"}
    assert config.resolve_env(tree, {"A": r"\1${env:B}"}) == {
        "a": r"x\1${env:B}y${env:B}", "b": [r"\1${env:B}", 1], "${env:A}": "${A} $A {env:A}",
    }


def test_substitute_is_literal_and_knows_the_misspelt_name():
    tree = ["{controller_ip}/{contoller_ip}", "{{controller_ip}}", "{other} ${x} {0} %s", 1]
    assert config.substitute(tree, {"controller_ip": "10.0.0.1"}) == [
        "10.0.0.1/10.0.0.1", "{10.0.0.1}", "{other} ${x} {0} %s", 1,
    ]


def test_secrets_are_found_by_schema_and_by_name():
    tree = {
        "type": "TreeEngine", "settings": {"ADMIN_PASSWORD": "by-name", "TOKEN_FORMAT": "fernet"},
        "provider": {"type": "ExistingServers", "credentials": [
            "root@h", {"host": "h", "user": "u", "password": "by-schema", "key": "~/.ssh/id",
                       "jump": {"host": "j", "user": "u", "password": "behind-a-ref"}}]},
        "nodes": [{"openstack": {"auth_url": "http://h/", "users": [
            {"username": "u", "password": 7777, "tenant_name": "t"}]}}],
    }
    assert config.secret_values(tree, registry()) == [
        "7777", "behind-a-ref", "by-name", "by-schema",
    ]


def test_secrets_of_unknown_plugins_are_found_by_name():
    tree = {"type": "Gone", "password": "one", "deep": [{"type": "Lost", "api_token": "two",
            "provider": {"type": "ExistingServers", "credentials": [{"password": "three"}]}}]}
    assert config.secret_values(tree, registry()) == ["one", "three", "two"]


def test_masked_config_shows_all_but_secrets():
    tree = {
        "type": "TreeEngine",
        "settings": {"text": "PASSWORD=long-enough-1\n", "password": "long-enough-1"},
        "provider": {"type": "DummyProvider", "credentials": [
            {"host": "h", "user": "u", "password": "${env:PASS}"}]},
        "mode": "qemu",
    }
    masked = config.mask_secrets(tree, registry())
    assert masked == {
        "type": "TreeEngine", "settings": {"text": "PASSWORD=***\n", "password": "***"},
        "provider": {"type": "DummyProvider", "credentials": [
            {"host": "h", "user": "u", "password": "${env:PASS}"}]},
        "mode": "qemu",
    }
    assert tree["settings"]["password"] == "long-enough-1"


def test_short_password_does_not_hide_other_words():
    tree = {"openstack": {"admin": {"username": "admin", "password": "admin"}}}
    assert config.mask_secrets(tree, registry()) == {
        "openstack": {"admin": {"username": "admin", "password": "***"}},
    }


@pytest.mark.parametrize("key", [
    "password", "ADMIN_PASSWORD", "passwords", "key_secret", "auth_token", "private_key",
])
def test_key_that_sounds_secret_is_secret(key):
    assert sounds_secret(key)


@pytest.mark.parametrize("key", [
    "key", "token_url", "password_file", "TOKEN_FORMAT", "ssh_public_key_file", "host", 0,
])
def test_key_that_does_not_sound_secret_is_shown(key):
    assert not sounds_secret(key)


USER = {"auth_url": "http://h/v3", "username": "u", "password": "p"}


@pytest.mark.parametrize("result", [
    {"admin": {**USER, "tenant_name": "t"}, "users": []},
    {"openstack": [{"admin": {**USER, "project_name": "t"}, "users": []}]},
    {"openstack": {"admin": {**USER, "tenant_name": "t", "odd": 1}}},
    [{"admin": {**USER, "tenant_name": "t", "region_name": None}}],
    {"admin": Credentials("http://h/v3", "u", "p", "t"), "services": {}},
])
def test_cloud_result_of_every_form_is_the_same(result):
    found = config.cloud_result(result)
    assert found == {
        "admin": {
            "auth_url": "http://h/v3", "username": "u", "password": "p", "project_name": "t",
            "user_domain_name": "Default", "project_domain_name": "Default", "domain_name": "",
            "region_name": "", "endpoint_type": "public", "https_insecure": False,
            "https_cacert": "", "https_ca": "",
        },
        "users": [], "services": {},
    }
    assert config.cloud_result(found) == found


def test_cloud_result_without_admin_has_users():
    found = config.cloud_result({"admin": None, "users": [USER], "services": {"a": "b"}})
    assert found["admin"] is None
    assert [user["username"] for user in found["users"]] == ["u"]
    assert found["services"] == {"a": "b"}


def test_cloud_result_of_a_node_has_nobody():
    assert config.cloud_result({"admin": None, "users": []}) == {
        "admin": None, "users": [], "services": {},
    }


@pytest.mark.parametrize("result", [
    None, {}, [], "x", {"admin": {}}, {"openstack": []}, {"admin": {"username": "u"}},
    {"users": "x"}, {"users": ["x"]},
])
def test_cloud_result_of_nothing_usable_is_a_broken_plugin(result):
    with pytest.raises(PluginBroken, match="no usable cloud"):
        config.cloud_result(result)
