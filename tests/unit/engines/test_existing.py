import pytest

from rally_deploy import config
from rally_deploy.config import cloud_result
from rally_deploy.engines.existing import ExistingCloud
from rally_deploy.errors import ConfigError
from rally_deploy.model import State
from rally_deploy.plugins import Registry
from rally_deploy.testing.contract import EngineContract, NoShells, open_deployment

PLACE = {"auth_url": "http://192.0.2.1:5000/v2.0/", "region_name": "R", "endpoint_type": "admin",
         "https_insecure": True, "https_cacert": "/ca.pem"}
ADMIN = {"username": "a", "password": "pass-a", "tenant_name": "t"}
EXPECTED = {
    **PLACE, "username": "a", "password": "pass-a", "project_name": "t",
    "user_domain_name": "Default", "project_domain_name": "Default", "domain_name": "",
    "https_ca": "",
}
FORMS = {
    "flat": {"type": "ExistingCloud", **PLACE, "admin": ADMIN},
    "name": {"name": "DummyEngine", **PLACE, "admin": ADMIN, "endpoint": None, "extra": {"a": 1}},
    "creds": {"type": "ExistingCloud", "creds": {"openstack": {**PLACE, "admin": ADMIN}}},
    "creds list": {"type": "ExistingCloud", "creds": {"openstack": [{**PLACE, "admin": ADMIN}]}},
    "no type": {"openstack": {**PLACE, "admin": ADMIN, "endpoint": ""}},
    "at": {"existing@openstack": {**PLACE, "admin": ADMIN, "users": []}},
    "oldest": {"type": "ExistingCloud", "endpoint": {**PLACE, **ADMIN, "admin_port": 35357}},
    "oldest nested": {"openstack": {"endpoint": {**PLACE, **ADMIN}}},
}


class TestContract(EngineContract):
    plugin = ExistingCloud

    @pytest.fixture
    def block(self):
        return FORMS["flat"]

    def deployer_options(self):
        return {"shells": NoShells}

    def leftovers(self, block):
        return []


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_is_valid_and_gives_the_same_cloud(deployer, form):
    config.validate(form, Registry(), {})
    deployment = open_deployment(deployer, {"type": "ExistingCloud", **form})
    deployment.deploy()
    found = deployer.store.credentials.get(deployment.uuid)
    assert found == {
        "admin": EXPECTED, "users": [], "services": {"identity": PLACE["auth_url"]},
    }
    assert deployment.state is State.READY


def test_create_without_a_type_makes_a_ready_deployment(deployer):
    record = deployer.create(config.Document(FORMS["no type"], source="cloud.json"))
    assert (record.state, record.engine) == (State.READY, "ExistingCloud")


def test_users_without_an_admin_are_enough(deployer):
    user = {"username": "u", "password": "pass-u", "project_name": "p", "user_domain_name": "D"}
    form = {"type": "ExistingCloud", "auth_url": "https://h/v3", "admin": None, "users": [user]}
    config.validate(form, Registry(), {})
    found = cloud_result(open_deployment(deployer, form).engine().deploy())
    assert found["admin"] is None
    assert found["users"][0]["user_domain_name"] == "D"
    assert found["users"][0]["endpoint_type"] == "public"


def test_destroy_leaves_the_cloud_alone(deployer):
    deployment = open_deployment(deployer, FORMS["flat"])
    deployment.deploy()
    deployment.destroy()
    assert deployment.state is State.DESTROYED


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"type": "ExistingCloud"}, ""),
        ({"type": "ExistingCloud", "admin": {**ADMIN}}, "auth_url"),
        ({"type": "ExistingCloud", "auth_url": "http://h"}, "admin"),
        ({"type": "ExistingCloud", "creds": {}}, "creds"),
        ({"openstack": []}, "openstack"),
        ({"openstack": {"auth_url": "http://h", "admin": {"username": "u", "password": "p"}}},
         "openstack.admin.project_name"),
        ({"existing@openstack": {"auth_url": "http://h"}}, '["existing@openstack"].admin'),
        ({**FORMS["flat"], **FORMS["no type"]}, "openstack"),
        ({**FORMS["flat"], "endpoint_type": "publicURL"}, "endpoint_type"),
    ],
)
def test_config_that_names_no_usable_cloud_is_told_at_its_place(form, path):
    with pytest.raises(ConfigError) as caught:
        config.validate(form, Registry(), {})
    assert [problem.path for problem in caught.value.problems] == [path]


def test_plan_names_the_cloud():
    block = config.normalize(FORMS["creds list"], ExistingCloud.CONFIG_SCHEMA)
    assert list(ExistingCloud.plan(block)) == [
        f"nothing is made: the cloud is at {PLACE['auth_url']}",
    ]


def test_examples_are_valid_as_a_whole():
    for example in ExistingCloud.CONFIG_SCHEMA["examples"]:
        config.validate(example, Registry(), {})
