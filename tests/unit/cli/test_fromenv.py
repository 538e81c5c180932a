import json

import pytest

from rally_deploy.cli.environment import config_from_environment
from rally_deploy.errors import UsageError

ENVIRON = {
    "OS_AUTH_URL": "http://h:5000/v3", "OS_USERNAME": "jo", "OS_PASSWORD": 'p"w\'$x\n{y}',
    "OS_PROJECT_NAME": "demo",
}


def config(**more):
    return json.loads(config_from_environment({**ENVIRON, **more}))


def test_variables_become_an_existing_cloud():
    assert config() == {
        "type": "ExistingCloud", "auth_url": "http://h:5000/v3",
        "admin": {"username": "jo", "password": 'p"w\'$x\n{y}', "project_name": "demo"},
    }


def test_further_variables_are_taken():
    found = config(
        OS_REGION_NAME="R", OS_INTERFACE="internalURL", OS_CACERT="/ca", OS_INSECURE="True",
        OS_USER_DOMAIN_NAME="U", OS_PROJECT_DOMAIN_NAME="P",
    )
    assert found["region_name"] == "R"
    assert found["endpoint_type"] == "internal"
    assert (found["https_cacert"], found["https_insecure"]) == ("/ca", True)
    assert found["admin"]["user_domain_name"] == "U"
    assert found["admin"]["project_domain_name"] == "P"


def test_tenant_name_is_taken_for_a_project():
    environ = {**ENVIRON, "OS_TENANT_NAME": "old"}
    del environ["OS_PROJECT_NAME"]
    assert json.loads(config_from_environment(environ))["admin"]["project_name"] == "old"


@pytest.mark.parametrize("name", sorted(ENVIRON))
def test_missing_variable_is_named(name):
    environ = {key: value for key, value in ENVIRON.items() if key != name}
    with pytest.raises(UsageError, match=name):
        config_from_environment(environ)


def test_value_that_a_config_would_replace_is_an_error():
    with pytest.raises(UsageError, match="OS_PASSWORD"):
        config(OS_PASSWORD="a${env:HOME}")


def test_cloud_from_the_environment_needs_it_no_more(rdeploy, monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    done = rdeploy("create", "--fromenv", "--name", "mine")
    assert done.code == 0, done.err
    for name in ENVIRON:
        monkeypatch.delenv(name)
    assert rdeploy("show", "--json", "--secrets").json["credentials"]["admin"]["password"] == (
        ENVIRON["OS_PASSWORD"]
    )
    assert ENVIRON["OS_PASSWORD"] not in rdeploy("show", "--json").out + rdeploy("config").out
    assert rdeploy("check").code == 1
