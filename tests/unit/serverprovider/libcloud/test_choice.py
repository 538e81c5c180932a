"""Which image, size, networks and place are taken, and what a wrong wish is answered."""

from types import SimpleNamespace

import pytest

from rally_deploy.config import Document, normalize, validate
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.libcloud import drivers
from rally_deploy.serverprovider.libcloud.choice import choose, find_groups, find_image, find_size
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed
from rally_deploy.serverprovider.libcloud.schema import SCHEMA
from tests.unit.serverprovider.libcloud.kept import MarkedDummy


class OneDriver:
    """A cloud whose every call goes to one driver."""

    def __init__(self, folder):
        self.driver = MarkedDummy(str(folder))
        self.driver_class = MarkedDummy

    def ask(self, what, work):
        return work(self.driver)

    def takes(self, method, argument):
        return drivers.takes(MarkedDummy, method, argument)

    def can(self, method):
        return drivers.overrides(MarkedDummy, method)


@pytest.fixture
def asked(tmp_path):
    return OneDriver(tmp_path / "asked")


def config(**keys):
    return normalize({"type": "x", "driver": "marked", "image": "x", **keys}, SCHEMA)


@pytest.mark.parametrize(("wanted", "name"), [
    ("i-0", "Ubuntu 22.04 old"), ("Ubuntu 22.04", "Ubuntu 22.04"),
    ("ubuntu-22.04", "Ubuntu 22.04"), ("UBUNTU-24.04", "ubuntu-24.04"),
    ("windows", "windows-2019"),
])
def test_image_is_found_by_id_name_or_the_newest_of_its_os(asked, wanted, name):
    assert find_image(asked, config(), wanted).name == name


def test_excluded_image_is_not_taken_by_its_os(asked):
    excluded = config(exclude_image=["Ubuntu 22.04$"])
    assert find_image(asked, excluded, "ubuntu-22.04").name == "Ubuntu 22.04 old"


def test_missing_image_is_told_with_those_there_are(asked):
    with pytest.raises(CloudFailed, match="no image 'debian-12'") as caught:
        find_image(asked, config(), "debian-12")
    assert "ubuntu-24.04" in caught.value.details


@pytest.mark.parametrize(("wanted", "keys", "name"), [
    ({}, {}, "s.small"),
    ({"ram": 1025}, {}, "s.mid"),
    ({"ram": 2000, "cpus": 3}, {}, "s.wide"),
    ({"disk": 50}, {}, "s.big"),
    ({"ram": 2000}, {"exclude_sizes": ["s.mid", "win"]}, "s.wide"),
    ({"ram": 2000}, {"allow_sizes": "s.(big|wide)"}, "s.wide"),
    ({"ram": 2000}, {"allow_sizes": "win", "exclude_sizes": []}, "win.mid"),
    ("s.big", {}, "s.big"),
    ("f-1", {}, "s.big"),
])
def test_size_is_the_wanted_one_or_the_smallest_that_fits(asked, wanted, keys, name):
    assert find_size(asked, config(**keys), wanted).name == name


@pytest.mark.parametrize("wanted", [{"ram": 10**6}, "s.huge", {"cpus": 9}])
def test_size_that_the_cloud_has_not_is_told(asked, wanted):
    with pytest.raises(CloudFailed, match="size") as caught:
        find_size(asked, config(), wanted)
    assert "s.big" in caught.value.details


@pytest.mark.parametrize(("keys", "message"), [
    ({"security_groups": ["web"]}, "no security group 'web'"),
    ({"allow_networks": "nowhere"}, "no network of the cloud is allowed"),
    ({"location": "east"}, "no location 'east'"),
])
def test_wish_that_the_cloud_has_not_is_told(asked, keys, message):
    with pytest.raises(CloudFailed, match=message) as caught:
        choose(asked, config(**keys), "i-0", {})
    assert "it has: " in caught.value.details


def groups(*owners):
    """Security groups called web, of these projects."""
    return [SimpleNamespace(name="web", tenant_id=owner) for owner in owners]


def test_group_of_a_name_that_other_projects_have_too_is_no_doubt(asked, monkeypatch):
    wanted = config(security_groups=["web"])
    monkeypatch.setattr(asked.driver, "ex_list_security_groups", lambda: groups("one", "two"))
    assert len(find_groups(asked, wanted)) == 1
    monkeypatch.setattr(asked.driver, "ex_list_security_groups", lambda: groups("one", "one"))
    with pytest.raises(CloudFailed, match="more than one security group 'web'"):
        find_groups(asked, wanted)


def problems(**keys):
    tree = {"type": "DistroEngine", "provider": {
        "type": "LibcloudProvider", "driver": "dummy", "driver_args": {"creds": "1"},
        "image": "x", **keys}}
    try:
        validate(Document(tree), Registry(), {})
    except ConfigError as error:
        return {p.path.removeprefix("provider."): p.message for p in error.problems}
    return {}


def test_whole_block_is_valid():
    assert problems(machine={"ram": 1, "disk": 2, "cpus": 3}, amount=2, max_nodes=2,
                    userdata={"ubuntu-16.04": {"bootcmd": []}}, volumes={"count": 2}) == {}


@pytest.mark.parametrize(("keys", "path", "message"), [
    ({"driver": "opnstack"}, "driver", "did you mean 'openstack'"),
    ({"driver": "softlayer_old"}, "driver", "no driver"),
    ({"driver_args": {}}, "driver_args", "missing a required argument: 'creds'"),
    ({"amount": 3, "max_nodes": 2}, "amount", "more than 'max_nodes'"),
    ({"allow_sizes": ["("]}, "allow_sizes", "no regular expression"),
    ({"size": {"ram": -1}}, "size.ram", "less than 0"),
    ({"size": {"memory": 1}}, "size.memory", "unknown key"),
    ({"ssh_interface": "public"}, "ssh_interface", "none of"),
    ({"userdata": {"ubuntu-16.04": "#cloud-config\na: [\n"}}, 'userdata["ubuntu-16.04"]',
     "not YAML in line 3"),
])
def test_wrong_block_is_a_mistake_at_its_key(keys, path, message):
    assert message in problems(**keys)[path]


@pytest.mark.parametrize(("given", "url"), [
    ("https://c.example.net:5000/v2.0/tokens", "https://c.example.net:5000"),
    ("https://c.example.net/identity/v2.0/", "https://c.example.net/identity"),
    ("https://c.example.net/identity/v3", "https://c.example.net/identity"),
    ("https://c.example.net:5000", "https://c.example.net:5000"),
])
def test_address_of_keystone_is_as_libcloud_wants_it(given, url):
    told = drivers.with_v3({"ex_force_auth_url": given, "ex_force_auth_version": "2.0_password"})
    assert told == {"ex_force_auth_url": url, "ex_force_auth_version": "3.x_password"}


def test_username_and_password_are_the_drivers_first_arguments():
    arguments = {"username": "me", "password": "secret", "ex_tenant_name": "lab"}
    cls = drivers.driver_class("openstack")
    assert drivers.positional(cls, arguments) == ["me", "secret"]
    assert drivers.named(cls, arguments) == {"ex_tenant_name": "lab"}


KEYSTONE = {"username": "me", "password": "a", "ex_tenant_name": "lab",
            "ex_force_auth_url": "https://c.example.net:5000/v3"}
EC2 = {"key": "a", "secret": "b", "region": "r"}


@pytest.mark.parametrize(("driver", "one", "other"), [
    ("ec2", EC2, {**EC2, "secret": "c"}),
    ("ec2", EC2, {"username": "a", "password": "b", "region": "r"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "ex_force_auth_url": "https://c.example.net:5000"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "ex_force_auth_url": "https://c.example.net:5000/v2.0/"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "ex_force_auth_version": "3.x_password"}),
    ("digitalocean", {"key": "token"}, {"key": "new token"}),
    ("rackspace", {"username": "me", "api_key": "a"}, {"username": "me", "api_key": "b"}),
])
def test_pool_of_an_account_is_the_same_whatever_its_password(driver, one, other):
    assert drivers.fingerprint(driver, one) == drivers.fingerprint(driver.upper(), other)


@pytest.mark.parametrize(("driver", "one", "other"), [
    ("ec2", EC2, {**EC2, "key": "z"}),
    ("ec2", EC2, {**EC2, "region": "s"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "ex_tenant_name": "office"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "username": "you"}),
    ("openstack", KEYSTONE, {**KEYSTONE, "ex_force_auth_url": "https://d.example.net:5000/v3"}),
])
def test_other_account_or_cloud_is_another_pool_and_place(driver, one, other):
    assert drivers.fingerprint(driver, one) != drivers.fingerprint(driver, other)
    assert drivers.place(driver, one) != drivers.place(driver, other)


def test_place_names_cloud_and_account_and_no_secret():
    told = drivers.place("openstack", KEYSTONE)
    assert told.startswith("libcloud openstack me, ")
    assert "ex_force_auth_url https://c.example.net:5000" in told
    assert "ex_tenant_name lab" in told
    assert "password a" not in told
    token = drivers.place("digitalocean", {"key": "my token"})
    assert "my token" not in token
    assert token != drivers.place("digitalocean", {"key": "your token"})
