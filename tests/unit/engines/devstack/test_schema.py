"""DevstackEngine's block: mistakes before anything runs, warnings about what DevStack dropped."""

import subprocess

import jsonschema
import pytest

from rally_deploy.config import mask_secrets, normalize, secret_values, validate
from rally_deploy.config.document import Document, parse_path
from rally_deploy.engines.devstack import local_conf, schema
from rally_deploy.engines.devstack.dropped import SERVICES, VALUES, VARIABLES
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry
from rally_deploy.testing.devstack import write_devstack

PROVIDER = {"type": "ExistingServers", "credentials": [{"host": "192.0.2.10", "user": "root"}]}


def block(**keys):
    return {"type": "DevstackEngine", "provider": PROVIDER, **keys}


def mistakes(**keys):
    return list(schema.mistakes(normalize(block(**keys), schema.CONFIG_SCHEMA)))


def warnings(**keys):
    return list(schema.warnings(normalize(block(**keys), schema.CONFIG_SCHEMA)))


def fails(**keys):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(block(**keys), schema.CONFIG_SCHEMA)


def test_examples_have_neither_mistakes_nor_warnings():
    for example in schema.CONFIG_SCHEMA["examples"]:
        jsonschema.validate(example, schema.CONFIG_SCHEMA)
        config = normalize(example, schema.CONFIG_SCHEMA)
        assert list(schema.mistakes(config)) + list(schema.warnings(config)) == []


def test_defaults_are_those_that_are_documented():
    config = normalize(block(devstack_repo="", git_base=""), schema.CONFIG_SCHEMA)

    assert schema.devstack_source(config) == ("https://opendev.org/openstack/devstack", "master")
    assert (config["user"], config["timeout_s"], config["prove"]) == ("stack", 7200, True)
    assert config["local_conf"] == {}


@pytest.mark.parametrize(("keys", "repo"), [
    ({"git_base": "git://192.0.2.1/"}, "git://192.0.2.1/openstack/devstack"),
    ({"git_base": "git://192.0.2.1", "devstack_repo": "/srv/devstack"}, "/srv/devstack"),
])
def test_repository_is_below_git_base_unless_given(keys, repo):
    config = normalize(block(**keys, devstack_branch="stable/2026.1"), schema.CONFIG_SCHEMA)

    assert schema.devstack_source(config) == (repo, "stable/2026.1")


@pytest.mark.parametrize("keys", [
    {"timeout_s": 5}, {"timeout_s": "7200"}, {"user": "Root User"}, {"devstack_branch": "--help"},
    {"local_conf": ["A=1"]}, {"files": [{"from": "x"}]}, {"files": [{"to": "x", "mode": "rw"}]},
    {"prove": "yes"}, {"git_base": "git://a b"}, {"unknown": 1},
])
def test_keys_of_wrong_kind_are_refused_by_the_schema(keys):
    fails(**keys)


@pytest.mark.parametrize(("local_conf", "path", "says"), [
    ({"A": "one\ntwo"}, "A", "a value has one line"),
    ({"A": 'say "hi'}, "A", "a quote, brace or parenthesis is not closed"),
    ({"A": "it's"}, "A", "is not closed"),
    ({"A": '"a" b'}, "A", "quote the whole value"),
    ({"A B": "c"}, '["A B"]', "no name of a shell variable"),
    ({"1A": "c"}, '1A', "no name of a shell variable"),
    ({"A-B": "c"}, 'A-B', "no name of a shell variable"),
    ({"A++": "c"}, '["A++"]', "no name of a shell variable"),
    ({"A": ["b", "c"]}, "A", "join it by commas"),
    ({"A": {"b": "c"}}, "A", "a section is called like"),
    ({"ENABLE_PLUGIN": "heat"}, "ENABLE_PLUGIN", "NAME GIT_URL"),
    ({"enable_plugin": ["a git://h/a", "b"]}, "enable_plugin[1]", "NAME GIT_URL"),
    ({"ENABLE_PLUGIN": "a git://h/a main; reboot"}, "ENABLE_PLUGIN", "NAME GIT_URL"),
    ({"ENABLE_PLUGIN": {"a": "git://h/a"}}, "ENABLE_PLUGIN", "NAME GIT_URL"),
    ({"[[post-config]]": {}}, '["[[post-config]]"]', "[[PHASE|FILE]]"),
    ({"[[post-config|a b]]": {}}, '["[[post-config|a b]]"]', "[[PHASE|FILE]]"),
    ({"[local|localrc]": {}}, '["[local|localrc]"]', "[[PHASE|FILE]]"),
    ({"[[extra|$X]]": [1]}, '["[[extra|$X]]"]', "an object of objects"),
    ({"[[extra|$X]]": {"a": 1}}, '["[[extra|$X]]"].a', "a section of a file is an object"),
    ({"[[extra|$X]]": {"a b": {}}}, '["[[extra|$X]]"]["a b"]', "no brackets and no space"),
    ({"[[extra|$X]]": {"a": {"b=c": 1}}}, '["[[extra|$X]]"].a["b=c"]', "no name of an option"),
    ({"[[extra|$X]]": {"a": {"b": "c\nd"}}}, '["[[extra|$X]]"].a.b', "an option has one line"),
    ({"[[extra|$X]]": {"a": {"b": '"'}}}, '["[[extra|$X]]"].a.b', "double quote is not closed"),
    ({"[[extra|$X]]": {"a": {"b": {}}}}, '["[[extra|$X]]"].a.b', "a text, a number, true"),
    ({"A": "1", "[[local|localrc]]": {"A": "2"}}, '["[[local|localrc]]"].A', "stands there twice"),
    ({"[[local|localrc]]": "A=1\nB='y\n"}, '["[[local|localrc]]"]', "line 2: bash cannot read"),
    ("[[extra|$X]]\na='\n[[local|localrc]]\nA=1\nB='y\n[[extra|$Y]]\nb=1\n", "",
     "line 5: bash cannot read it: unexpected EOF while looking for matching `''"),
    ("A=$(ls\nB=1\n", "", "bash cannot read it"),
    ("A=1\nif true; then\nB=1\n", "", "bash cannot read it: syntax error"),
    ({"disable_service": "a; reboot"}, "disable_service", "named as 'n-api n-cpu'"),
    ({"ENABLE_SERVICE": ["a", 1]}, "ENABLE_SERVICE", "services are named as"),
    ({"enable_service": {"a": 1}}, "enable_service", "services are named as"),
    ({"DEST": "srv/x"}, "DEST", "DEST must be an absolute path, with $HOME or $DEST in it at"),
    ({"DEST+": "/x"}, '["DEST+"]', "DEST must be an absolute path"),
    ({"DATA_DIR": "$(pwd)/data"}, "DATA_DIR", "DATA_DIR must be an absolute path"),
    ({"DATA_DIR": "/srv/../etc"}, "DATA_DIR", "DATA_DIR must be an absolute path"),
    ({"DEST": "/var/"}, "DEST", "a folder of its own, /var/stack say"),
    ({"[[local|localrc]]": {"DEST": "$X"}}, '["[[local|localrc]]"].DEST', "an absolute path"),
    ({"[[local|localrc]]": "DEST=$X"}, '["[[local|localrc]]"]', "DEST must be an absolute path"),
    ("[[local|localrc]]\nDEST=$X/a\n", "", "DEST must be an absolute path"),
    ({"A": "1", "[[local|localrc]]": "A=2"}, '["[[local|localrc]]"]', "stands there twice"),
    ({"[[local|localrc]]": "A=2\n[[extra|$X]]"}, '["[[local|localrc]]"]', "line 2: another sec"),
    ({"[[local|localrc]]": ["A=1"]}, '["[[local|localrc]]"]', "an object of variables, or the te"),
    ({"[[local|localrc]]": None}, '["[[local|localrc]]"]', "an object of variables, or the text"),
    ("[[local|localrc]]\nA=1\n[[post-config]]\n", "", "line 3: a section is called"),
])
def test_local_conf_that_cannot_be_written_is_a_mistake(local_conf, path, says):
    found = mistakes(local_conf=local_conf)

    assert len(found) == 1
    assert parse_path(found[0][0]) == parse_path("local_conf" + (
        path if path.startswith("[") else f".{path}" if path else ""))
    assert says in found[0][1]


@pytest.mark.parametrize("text", [
    "A='one\ntwo'\nB=\"a\n  it's\n\"\n", "# it's\nA=1 # don't\n", "A=$'it\\'s'\n",
    "cat >x <<END\nit's\nEND\n", "case $A in b) C=1 ;; esac\n", "A=\"$'s\"\n",
    "[[local|localrc]]\nA='one\n[[extra|$X]]\na='\n[[local|localrc]]\ntwo'\n", "",
])
def test_shell_in_a_whole_file_that_bash_can_read_is_no_mistake(text):
    assert mistakes(local_conf=text) == []


def test_whole_file_is_not_run_and_not_looked_at_without_bash(tmp_path, monkeypatch):
    assert mistakes(local_conf=f"touch {tmp_path}/run\n$(touch {tmp_path}/run)\n") == []
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mistakes(local_conf="A='y\n") == []


def test_local_conf_that_is_refused_when_written_was_a_mistake_before():
    for wrong in ({"A": "a\nb"}, {"A": "'"}, {"A": '"a" b'}, {"A": ["b"]}):
        assert mistakes(local_conf=wrong)
        with pytest.raises(local_conf.LocalConfBroken):
            local_conf.render(wrong, {})


def test_files_are_looked_for_before_anything_runs(tmp_path):
    image = tmp_path / "a.img"
    image.touch()

    found = mistakes(files=[
        {"from": str(image), "to": "a.img"}, {"content": "{controller_ca}", "to": "/etc/ca.pem"},
        {"from": str(tmp_path / "no"), "to": "a"}, {"from": str(tmp_path), "to": "a"},
        {"from": "http://h/a", "to": "a"}, {"to": "a"},
        {"from": str(image), "content": "", "to": "a"}, {"from": str(image), "to": "../a"},
        {"from": str(image), "to": "images/"},
    ])

    assert [path for path, _ in found] == [
        "files[2].from", "files[3].from", "files[4].from", "files[5]", "files[6]", "files[7].to",
        "files[8].to",
    ]


def test_root_and_missing_repository_are_mistakes():
    assert [path for path, _ in mistakes(user="root", devstack_repo="/nonexistent/devstack")] == [
        "user", "devstack_repo"]


@pytest.mark.parametrize(("keys", "path", "says"), [
    ({"devstack_repo": "repos/x.git"}, "devstack_repo", "there is no repos/x.git on this machine"),
    ({"devstack_repo": "./x"}, "devstack_repo", "URL with ://, or HOST:PATH"),
    ({"git_base": "/nonexistent"}, "git_base", "no /nonexistent/openstack/devstack on this"),
    ({"git_base": "./repos"}, "git_base", "a path must be absolute"),
    ({"git_base": "repos", "devstack_repo": "git://192.0.2.1/d"}, "git_base", "must be absolute"),
    ({"git_base": "~/repos"}, "git_base", "a path must be absolute"),
])
def test_path_that_is_no_repository_and_no_address_is_a_mistake(keys, path, says):
    found = mistakes(**keys)

    assert [where for where, _ in found] == [path]
    assert says in found[0][1]


@pytest.mark.parametrize("address", [
    "git@host:devstack", "host:a/b", "[2001:db8::1]:a", "ops@[::1]:/a", "https://host/a",
    "file:///srv/a",
])
def test_addresses_of_repositories_are_not_looked_for(address):
    assert mistakes(devstack_repo=address) + mistakes(git_base=address) == []
    assert warnings(git_base=address) == []


def test_path_as_git_base_is_good_if_it_has_devstack_and_the_servers_are_told_of(tmp_path):
    write_devstack(tmp_path / "openstack/devstack.git")

    assert mistakes(git_base=str(tmp_path)) == []
    assert "at this path of its own" in warnings(git_base=str(tmp_path))[0][1]
    # The servers may have it alone.
    assert mistakes(git_base="/nonexistent", devstack_repo="git://192.0.2.1/devstack") == []


def test_relative_repository_begins_at_the_current_folder(tmp_path, monkeypatch):
    write_devstack(tmp_path / "repos/x.git", ["master"])
    monkeypatch.chdir(tmp_path)

    assert mistakes(devstack_repo="repos/x.git") == []


@pytest.fixture
def repo(tmp_path):
    return write_devstack(tmp_path / "devstack.git", ["master", "stable/2026.1"])


def head(repo):
    return subprocess.run(["git", "-C", repo, "rev-parse", "HEAD"], capture_output=True, text=True,
                          check=True).stdout.strip()


def test_branch_that_a_local_repository_lacks_is_a_mistake(repo):
    found = mistakes(devstack_repo=str(repo), devstack_branch="stable/nowhere")

    assert [path for path, _ in found] == ["devstack_branch"]
    assert "has no such branch, tag or commit" in found[0][1]


def test_branch_tag_and_commit_of_a_local_repository_are_good(repo):
    subprocess.run(["git", "-C", repo, "tag", "v1"], check=True)

    for good in ("master", "stable/2026.1", "v1", head(repo), head(repo)[:8]):
        assert mistakes(devstack_repo=str(repo), devstack_branch=good) == []
    assert mistakes(devstack_repo=str(repo), devstack_branch="0123456789")


def test_branch_is_not_looked_for_where_it_cannot_be_seen(repo, tmp_path, monkeypatch):
    assert mistakes(devstack_repo="git://192.0.2.1/devstack", devstack_branch="nowhere") == []
    assert mistakes(devstack_repo=str(tmp_path), devstack_branch="nowhere") == []
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert mistakes(devstack_repo=str(repo), devstack_branch="nowhere") == []


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_variable_that_devstack_dropped_is_warned_of_and_left_out(name):
    config = {name: "x", "VIRT_DRIVER": "fake"}

    found = warnings(local_conf=config)

    assert found[0][0] == f"local_conf.{name}"
    assert f"no {name} any more, it is ignored: " in found[0][1]
    assert name not in local_conf.render(config, {})


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_that_devstack_dropped_is_warned_of_and_left_out(name):
    config = {"ENABLED_SERVICES": f"key,{name},mysql", "ENABLED_SERVICES+": f",-{name}"}

    found = warnings(local_conf=config)

    assert [path for path, _ in found] == [
        "local_conf.ENABLED_SERVICES", 'local_conf["ENABLED_SERVICES+"]']
    assert all("it is ignored" in message for _, message in found)
    assert local_conf.render(config, {}).splitlines()[1:] == ["ENABLED_SERVICES=key,mysql"]


@pytest.mark.parametrize(("given", "written"), [
    ("n-cpu n-net", "n-cpu"), ("n-net n-cpu,key", "n-cpu,key"), (", -n-net -key", ",-key"),
])
def test_service_that_is_gone_is_left_out_of_a_list_with_spaces(given, written):
    text = local_conf.render({"ENABLED_SERVICES": given}, {})

    assert len(warnings(local_conf={"ENABLED_SERVICES": given})) == 1
    assert text.splitlines()[1] == f"ENABLED_SERVICES={written}"


def test_service_that_is_gone_is_not_enabled_by_command_either():
    config = {"enable_service": "n-net h-eng key"}

    assert [message.split(":")[0] for _, message in warnings(local_conf=config)] == [
        "DevStack has no service n-net any more, it is ignored",
        "DevStack itself has no service h-eng"]
    assert local_conf.render(config, {}).splitlines()[1:] == ["enable_service h-eng key"]
    assert warnings(local_conf={"disable_service": "n-net"}) == []


@pytest.mark.parametrize(("config", "warned"), [
    ({"ENABLED_SERVICES+": "-n-cpu"}, True), ({"ENABLED_SERVICES+": "'key'"}, True),
    ({"ENABLED_SERVICES+": ",-n-cpu"}, False), ({"ENABLED_SERVICES+": "$MORE"}, False),
    ({"ENABLED_SERVICES+": " key"}, False), ({"ENABLED_SERVICES+": ""}, False),
    ({"ENABLED_SERVICES": "key"}, False),
    ("ENABLED_SERVICES=key\nENABLED_SERVICES+=n-api\n", True), ("ENABLED_SERVICES=key\n", False),
])
def test_services_added_without_a_comma_are_warned_of(config, warned):
    found = [message for _, message in warnings(local_conf=config) if "without a comma" in message]

    assert len(found) == warned


def test_quoted_services_keep_their_quotes():
    text = local_conf.render({"ENABLED_SERVICES": '"key,n-net"'}, {})

    assert text.splitlines()[1:] == ['ENABLED_SERVICES="key"']


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in VALUES for v in VALUES[n]])
def test_value_that_devstack_dropped_is_warned_of(name, value):
    assert f"DevStack has no {name}={value} any more" in warnings(local_conf={name: value})[0][1]


def test_service_of_a_plugin_is_warned_of_unless_the_plugin_is_enabled():
    without = warnings(local_conf={"ENABLED_SERVICES+": ",h-eng"})
    enabled = warnings(local_conf={
        "ENABLED_SERVICES+": ",h-eng", "ENABLE_PLUGIN": "heat https://opendev.org/openstack/heat"})

    assert "ENABLE_PLUGIN 'heat https://opendev.org/openstack/heat'" in without[0][1]
    assert enabled == []


def test_users_document_of_64_computes_is_warned_of_what_is_ignored():
    found = warnings(localrc={
        "VIRT_DRIVER": "fake", "DATABASE_TYPE": "mysql", "MYSQL_HOST": "192.0.2.1",
        "RABBIT_HOST": "192.0.2.1", "GLANCE_HOSTPORT": "192.0.2.1:9292",
        "API_RATE_LIMIT": "False", "ENABLED_SERVICES": "n-cpu,n-net",
        "SCREEN_LOGDIR": "$DEST/logs/screen",
    })

    assert [path for path, _ in found] == [
        "local_conf.API_RATE_LIMIT", "local_conf.ENABLED_SERVICES", "local_conf.SCREEN_LOGDIR"]


def test_whole_file_is_warned_of_with_line_numbers():
    text = "[[local|localrc]]\nUSE_SCREEN=True\nexport Q_AGENT=linuxbridge\n" \
           "ENABLED_SERVICES=n-cpu,n-net,h-eng\nenable_plugin heat git://h/heat\n[[odd|$X]]\n"

    assert [message.split(":")[0] for _, message in warnings(local_conf=text)] == [
        "line 2", "line 3", "line 4", "line 6"]


def test_localrc_section_as_text_is_warned_of_with_line_numbers():
    found = warnings(local_conf={
        "ENABLE_PLUGIN": "heat git://h/heat",
        "[[local|localrc]]": "A=1\nUSE_SCREEN=True\nENABLED_SERVICES+=,h-eng\n"})

    assert [(path, message.split(":")[0]) for path, message in found] == [
        ('local_conf["[[local|localrc]]"]', "line 2")]


@pytest.mark.parametrize(("password", "warned"), [
    ("good-enough_1.2~", False), ("'good'", False), ("$ADMIN_PASSWORD", False), ("", False),
    ("with/slash", True), ("with@at", True), ("pa$$word", True), ("-dash", True), ("a b", True),
])
def test_password_that_devstack_would_spoil_is_warned_of(password, warned):
    assert bool(warnings(local_conf={"ADMIN_PASSWORD": password})) is warned


def test_section_of_unknown_phase_and_eaten_quotes_are_warned_of():
    found = warnings(local_conf={
        "[[pre-install|$NOVA_CONF]]": {"DEFAULT": {"a": "b"}},
        "[[post-config|$NOVA_CONF]]": {"pci": {"alias": '{"a": "b"}'}},
    })

    assert "DevStack reads no section" in found[0][1]
    assert "takes double quotes away" in found[1][1]


@pytest.mark.parametrize("key", ["local_conf", "localrc"])
def test_whole_file_is_shown_with_its_secrets_masked(key):
    text = "[[local|localrc]]\nADMIN_PASSWORD=short\nexport RABBIT_PASSWORD='longerone'\n" \
           "SERVICE_PASSWORD=$ADMIN_PASSWORD\nLOGFILE=/tmp/a.log\n"
    config = block(**{key: text})

    assert mask_secrets(config, Registry())[key] == (
        "[[local|localrc]]\nADMIN_PASSWORD=***\nexport RABBIT_PASSWORD=***\n"
        "SERVICE_PASSWORD=$ADMIN_PASSWORD\nLOGFILE=/tmp/a.log\n")
    assert secret_values(config, Registry()) == ["longerone", "short"]


def test_passwords_in_an_object_are_masked():
    config = block(localrc={"ADMIN_PASSWORD": "short", "LOGFILE": "/tmp/a.log"})

    assert mask_secrets(config, Registry())["localrc"] == {
        "ADMIN_PASSWORD": "***", "LOGFILE": "/tmp/a.log"}
    assert secret_values(config, Registry()) == ["short"]


def test_mistakes_and_warnings_are_shown_at_their_place_in_the_file():
    wrong = Document(block(localrc={"A": "'"}))
    good = Document(block(localrc={"API_RATE_LIMIT": "False"}))

    with pytest.raises(ConfigError) as caught:
        validate(wrong, Registry(), {})

    assert [problem.path for problem in caught.value.problems] == ["localrc.A"]
    assert [problem.path for problem in validate(good, Registry(), {})] == [
        "localrc.API_RATE_LIMIT"]
