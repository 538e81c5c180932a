"""Mistakes in a block are found before anything is asked of a cloud."""

import pytest

from rally_deploy import config as configs
from rally_deploy.errors import ConfigError
from rally_deploy.serverprovider.openstack import OpenStackProvider
from rally_deploy.serverprovider.openstack.download import Checksum
from rally_deploy.testing.contract import TestRegistry

RALLY = {
    "type": "OpenStackProvider", "amount": 42, "user": "admin", "tenant": "admin",
    "password": "secret", "auth_url": "http://example.com:5000/v2.0", "flavor_id": "2",
    "deployment_name": "Rally sample deployment",
    "nics": [{"net-id": "97936015-128a-42f1-a3f2-1868ceeeeb6f"}],
    "image": {
        "checksum": "5101b2013b31d9f2f96f64f728926054",
        "name": "Ubuntu raring(added by rally)", "format": "qcow2",
        "userdata": "#cloud-config\r\n disable_root: false\r\n",
        "url": "http://images.example.com/raring-server-cloudimg-amd64-disk1.img",
    },
    "secgroup_name": "Rally", "config_drive": True, "wait_for_cloud_init": True, "region": "r",
}


@pytest.fixture(autouse=True)
def no_clouds_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


def validate(**keys):
    block = {k: v for k, v in {**RALLY, **keys}.items() if v is not None}
    config = {"type": "FakeEngine", "world": "/nonexistent", "provider": block}
    return configs.validate(config, TestRegistry(OpenStackProvider), {})


def mistakes(**keys):
    with pytest.raises(ConfigError) as caught:
        validate(**keys)
    return {p.path.removeprefix("provider").lstrip("."): p.message for p in caught.value.problems}


def test_config_of_rally_is_taken_as_it_is_with_a_warning_of_v2():
    warnings = validate()
    assert [w.path for w in warnings] == ["provider.auth_url"]
    assert "http://example.com:5000/v3 is used" in warnings[0].message


@pytest.mark.parametrize("image", [
    {"uuid": "97936015-128a-42f1-a3f2-1868ceeeeb6f"},
    {"checksum": "5101b2013b31d9f2f96f64f728926054"},
    {"checksum": "sha256:" + "0" * 64}, {"checksum": "sha512:" + "0" * 128},
])
def test_every_form_of_an_image_is_taken(image):
    validate(image=image)


@pytest.mark.parametrize(("keys", "path", "part"), [
    ({"password": None}, "password", "'password' is missing; or give 'cloud'"),
    ({"auth_url": "example.com"}, "auth_url", "must be like http://HOST:5000/v3"),
    ({"image": {"checksum": "xyz"}}, "image.checksum", "it must be an md5"),
    ({"image": {"checksum": "0" * 40}}, "image.checksum", "it must be an md5"),
    ({"image": {"checksum": "sha256:" + "0" * 32}}, "image.checksum", "are a md5, not a sha256"),
    ({"image": {"url": "http://h/x", "checksum": "0" * 32, "name": "x"}}, "image.format",
     "needs 'format' too"),
    ({"image": {**RALLY["image"], "url": "/no/such/file"}}, "image.url",
     "there is no file /no/such/file"),
    ({"https_cacert": "/no/ca.pem"}, "https_cacert", "there is no file /no/ca.pem"),
    ({"ssh_public_key_file": "/no/id.pub"}, "ssh_public_key_file", "there is no file"),
    ({"open_ports": ["90-80"]}, "open_ports[0]", "the first before the last"),
    ({"deployment_name": "--"}, "deployment_name", "needs a letter or a digit"),
    ({"cloud": "mine"}, "user", "leave this out, or 'cloud'"),
    ({"flavour": "2"}, "flavour", "flavor"),
    ({"image": {**RALLY["image"], "userdata": "x" * 50_000}}, "image.userdata", "48 KiB"),
    ({"image": {**RALLY["image"], "userdata": "#cloud-config\nruncmd: [a\n"}}, "image.userdata",
     "it is not YAML in line 3"),
])
def test_mistake_is_found_at_its_place(keys, path, part):
    found = mistakes(**keys)
    assert path in found
    assert part in found[path] or path == "flavour"


def test_all_mistakes_are_told_at_once():
    found = mistakes(user=None, auth_url="x", image={"checksum": "y"}, open_ports=[0])
    assert {"user", "auth_url", "image.checksum", "open_ports[0]"} <= set(found)


def test_public_key_without_its_private_one_is_a_mistake(tmp_path):
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me")
    found = mistakes(ssh_public_key_file=str(tmp_path / "id.pub"))
    assert f"no private key {tmp_path / 'id'}" in found["ssh_public_key_file"]


def test_cloud_that_clouds_yaml_does_not_have_names_those_it_has(tmp_path):
    (tmp_path / "clouds.yaml").write_text(
        "clouds: {mine: {auth: {auth_url: 'http://h', username: u, password: p,"
        " project_name: q}}}")
    gone = dict.fromkeys(("user", "password", "tenant", "auth_url"))
    validate(cloud="mine", **gone)
    found = mistakes(cloud="yours", **gone)
    assert found == {"cloud": "clouds.yaml has no cloud 'yours'; it has mine"}


def test_password_is_masked_wherever_the_config_is_shown():
    config = {"type": "FakeEngine", "provider": RALLY}
    shown = configs.mask_secrets(config, TestRegistry(OpenStackProvider))
    assert shown["provider"]["password"] == "***"


@pytest.mark.parametrize(("text", "algorithm"), [
    ("5101B2013B31D9F2F96F64F728926054", "md5"), ("sha256:" + "a" * 64, "sha256"),
    ("a" * 128, "sha512"),
])
def test_checksum_is_known_by_its_length(text, algorithm):
    assert Checksum.parse(text).algorithm == algorithm
    assert Checksum.parse(text).digest == text.rpartition(":")[2].lower()
