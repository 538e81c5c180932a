import subprocess

import pytest
import yaml

from rally_deploy import access
from rally_deploy.errors import UsageError
from rally_deploy.model import Credentials, Server

PASSWORDS = [
    "plain", "it's", 'say "hi"', "$HOME `id` $(id)", "a\nb", "back\\slash\\", "пароль-密码-ü",
    "-n", "!history", "# no comment", "  blanks  ", "{braces} %s", "'", "a: b", "yes", "~", "\t",
]

# A name of each kind that could be taken for something else.
HOSTS = [
    Server("192.0.2.1", name="web 1"),
    Server("192.0.2.2", name="*"),
    Server("2001:db8::1", user="o p", port=2222, key='/home/o "p"/100%'),
]


def credentials(**values):
    return Credentials(**{
        "auth_url": "http://h/identity/v3", "username": "admin", "password": "pw",
        "project_name": "admin", **values,
    })


def sourced(text, shell="sh"):
    """The OS_* variables after sourcing the text, in a shell that had some of another cloud."""
    before = {"PATH": "/usr/bin:/bin", "OS_CLOUD": "other", "OS_PROJECT_ID": "1234",
              "OS_CACERT": "/other.pem", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell, "-ec", ". /dev/stdin; env -0"], input=text.encode(), env=before,
        capture_output=True, check=True,
    )
    assert done.stderr == b""
    pairs = (item.decode().split("=", 1) for item in done.stdout.split(b"\0") if item)
    return {name: value for name, value in pairs if name.startswith("OS_")}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_openrc_with_any_password_gives_it_unchanged(password, shell):
    found = sourced(access.openrc(credentials(password=password)), shell)
    assert found["OS_PASSWORD"] == password


def test_openrc_names_the_user_project_and_domains():
    found = sourced(access.openrc(credentials(region_name="RegionOne")))
    assert found == {
        "OS_AUTH_URL": "http://h/identity/v3", "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": "admin", "OS_PASSWORD": "pw", "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne", "OS_INTERFACE": "public",
    }


def test_openrc_of_a_domain_scope_names_no_project():
    found = sourced(access.openrc(credentials(project_name="", domain_name="Default")))
    assert found["OS_DOMAIN_NAME"] == "Default"
    assert not any(name.startswith("OS_PROJECT") for name in found)


def test_openrc_turns_version_2_into_3():
    found = sourced(access.openrc(credentials(auth_url="http://h:5000/v2.0/")))
    assert found["OS_AUTH_URL"] == "http://h:5000/v3"


def test_openrc_with_nul_is_an_error():
    with pytest.raises(UsageError, match="NUL"):
        access.openrc(credentials(password="a\0b"))


@pytest.mark.parametrize("password", PASSWORDS)
def test_clouds_yaml_with_any_password_gives_it_unchanged(password):
    cloud = yaml.safe_load(access.clouds_yaml("my: cloud", credentials(password=password)))
    assert cloud["clouds"]["my: cloud"]["auth"]["password"] == password


def test_clouds_yaml_keeps_certificate_choices():
    text = access.clouds_yaml("c", credentials(https_insecure=True, https_cacert="/ca.pem"))
    cloud = yaml.safe_load(text)["clouds"]["c"]
    assert (cloud["verify"], cloud["cacert"]) == (False, "/ca.pem")
    assert cloud["interface"] == "public"
    assert cloud["auth"]["project_domain_name"] == "Default"


def test_choose_user_takes_the_administrator_first():
    cloud = {"admin": {"auth_url": "u", "username": "root", "password": "p"},
             "users": [{"auth_url": "u", "username": "jo", "password": "q", "tenant_name": "t"}]}
    assert access.choose_user(cloud).username == "root"
    assert access.choose_user(cloud, "jo").project_name == "t"
    with pytest.raises(UsageError, match="no user 'eve'"):
        access.choose_user(cloud, "eve")


def test_choose_user_without_administrator_takes_the_first_user():
    cloud = {"admin": None, "users": [{"auth_url": "u", "username": "jo", "password": "q"}]}
    assert access.choose_user(cloud).username == "jo"


def understood(config, alias, tmp_path):
    """What OpenSSH reads from the configuration for this host."""
    path = tmp_path / "config"
    path.write_text(config)
    done = subprocess.run(
        ["ssh", "-G", "-F", str(path), alias], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.parametrize("number", range(len(HOSTS)))
def test_ssh_config_is_understood_by_openssh(tmp_path, number):
    hosts = access.ssh_hosts(HOSTS, {})
    found = understood(access.ssh_config(hosts, {}, "/k n/own%"), hosts[number].alias, tmp_path)
    server = HOSTS[number]
    assert found["hostname"] == server.host
    assert found["user"] == server.user
    assert found["port"] == str(server.port)
    assert found["stricthostkeychecking"] == "accept-new"
    if server.key:
        assert found["identityfile"].replace("%%", "%") == server.key


def test_ssh_hosts_have_unique_aliases_and_know_their_jumps():
    gate = Server("192.0.2.9", name="gate")
    one = Server("10.0.3.2", name="node", jump=gate)
    two = Server("10.0.3.2", name="node", jump=Server("192.0.2.8", name="gate"))
    hosts = access.ssh_hosts([one, two], {})
    assert [(host.alias, host.jump) for host in hosts] == [
        ("gate", ""), ("node", "gate"), ("gate-2", ""), ("node-2", "gate-2"),
    ]


def test_jump_over_this_machine_is_no_jump():
    here = Server("localhost", connection="local")
    [host] = access.ssh_hosts([Server("10.0.3.2", jump=here)], {})
    assert host.jump == ""


def test_pinned_key_is_demanded_under_the_alias(tmp_path):
    server = Server("192.0.2.1", name="web")
    hosts = access.ssh_hosts([server], {})
    pinned = {server.identity: "ssh-ed25519 AAAA"}
    found = understood(access.ssh_config(hosts, pinned, "/known"), "web", tmp_path)
    assert found["stricthostkeychecking"] in ("true", "yes")
    assert found["hostkeyalias"] == "web"
    assert access.known_hosts(hosts, pinned) == "web ssh-ed25519 AAAA\n"


def test_known_hosts_file_of_the_config_is_demanded(tmp_path):
    server = Server("192.0.2.1", name="web", facts={"known_hosts": "/my known"})
    config = access.ssh_config(access.ssh_hosts([server], {}), {}, "/ours")
    found = understood(config, "web", tmp_path)
    assert found["stricthostkeychecking"] in ("true", "yes")
    assert found["userknownhostsfile"] == "/my known"
    assert "hostkeyalias" not in found


def test_line_end_in_an_ssh_value_is_an_error():
    with pytest.raises(UsageError, match="line end"):
        access.ssh_quoted("a\nProxyCommand rm")
