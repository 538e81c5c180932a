"""Base containers with what the engine will install, on hosts in memory."""

import os
import subprocess

import pytest

from rally_deploy.engines.lxc import LxcEngine
from rally_deploy.errors import Cancelled
from rally_deploy.events import Kind
from rally_deploy.hosts import lxc_anew, lxc_stocked
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.hosts.lxc_base import BaseImage
from rally_deploy.hosts.lxc_stocked import StockedImage
from rally_deploy.serverprovider.lxc import LxcProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from rally_deploy.testing.fakes import FakeEngine
from tests.functional.lxc_rig import GivenHosts
from tests.unit.hosts.fake_host import Hosts

TWO = [{"host": "192.0.2.1", "name": "one"}, {"host": "192.0.2.2", "name": "two"}]


class Broken(FakeEngine):
    """An engine of somebody else whose hint is a mistake."""

    @classmethod
    def packages_beforehand(cls, config):
        raise KeyError("servers")


@pytest.fixture
def hosts():
    return Hosts()


@pytest.fixture
def made(tmp_path, recorder, hosts):
    """Deploys on containers, by an engine that says what it will install."""
    (tmp_path / "store").mkdir()
    with open_deployer(
        tmp_path / "store", LxcProvider, LxcEngine, GivenHosts, Broken, watcher=recorder,
        shells=lambda: hosts,
    ) as deployer:

        def make(engine="FakeEngine", beforehand=("g++", "bc"), cloned=False, **keys):
            on = {"type": "GivenHosts", "hosts": TWO}
            inner = {
                "type": engine, "world": str(tmp_path / "world"), "beforehand": list(beforehand),
            }
            if cloned:
                tree = {"type": "LxcEngine", "provider": on, "containers_per_host": 2,
                        "engine": inner, **keys}
            else:
                tree = {**inner, "provider": {"type": "LxcProvider", "containers_per_host": 1,
                                              "host_provider": on, **keys}}
            return open_deployment(deployer, tree)

        yield make


def bases_of(hosts):
    """What the containers of each host were made of."""
    return {label: args[1] for label, what, args in hosts.commands if what == "make"}


def stocked(hosts):
    return dict(list(hosts.images))


def warnings(recorder):
    return [event.title for event in recorder.events if event.kind is Kind.WARNING]


def test_each_host_makes_one_of_its_own_and_containers_are_clones_of_it(made, hosts):
    made().deploy()
    assert set(stocked(hosts)) == {"one", "two"}
    assert bases_of(hosts) == stocked(hosts)
    facts = hosts.images["one", stocked(hosts)["one"]]
    assert facts["packages"] == ["bc", "g++"]
    assert (facts["of"], facts["for"]) == (hosts.plain["one"], "FakeEngine")
    assert len(facts["made"]) == len("2026-01-01")


def test_next_create_uses_it_and_makes_none(made, hosts):
    made().deploy()
    hosts.commands.clear()
    made(beforehand=("bc", "g++", "bc")).deploy()
    assert bases_of(hosts) == stocked(hosts)
    assert "start_job" not in hosts.whats()


def test_it_is_the_hosts_and_in_no_ledger(made, hosts):
    deployment = made()
    deployment.deploy()
    deployment.destroy()
    assert hosts.things["one"] == {stocked(hosts)["one"]}


@pytest.mark.parametrize("keys", [
    {"engine_packages": False}, {"beforehand": ()},
])
def test_none_is_made_where_it_is_switched_off_or_nothing_is_told(made, hosts, keys):
    made(**keys).deploy()
    assert hosts.images == {}
    assert bases_of(hosts) == hosts.plain


def test_system_whose_packages_nobody_knows_gets_none_without_a_word(made, hosts, recorder):
    hosts.release = ""
    made().deploy()
    assert hosts.images == {}
    assert warnings(recorder) == []


def test_one_that_cannot_be_made_is_a_warning_with_the_reason_and_its_half_goes(
    made, hosts, recorder
):
    hosts.stock_fails = "E: Unable to fetch some archives"
    deployment = made()
    deployment.deploy()
    assert bases_of(hosts) == hosts.plain
    told = warnings(recorder)
    assert len(told) == 2
    assert all("Unable to fetch some archives" in text for text in told)
    assert [n for things in hosts.things.values() for n in things if "base" in n] == []
    assert deployment.part("provider").ledger.alive("lxc_image") == []


def test_half_that_cannot_be_removed_now_is_removed_by_the_destroy(made, hosts, recorder):
    hosts.stock_fails = "no space"
    hosts.refused["end_build"] = 1, "mounted"
    deployment = made()
    deployment.deploy()
    assert bases_of(hosts) == hosts.plain
    assert sum("is left for the destroy to remove" in text for text in warnings(recorder)) == 2
    hosts.refused.clear()
    deployment.destroy()
    assert hosts.things == {"one": set(), "two": set()}


def test_cancelled_in_its_making_is_cancelled_and_destroy_removes_the_half(
    made, hosts, monkeypatch
):
    def cancelled(shell, job, image):
        hosts.things.setdefault(shell.server.label, set()).add(image.name)
        raise Cancelled

    monkeypatch.setattr(lxc_stocked, "build", cancelled)
    deployment = made()
    with pytest.raises(Cancelled):
        deployment.deploy()
    assert any("base" in name for name in hosts.things["one"])
    deployment.destroy()
    assert hosts.things == {"one": set(), "two": set()}


def test_resume_makes_none_for_containers_that_are_there(made, hosts, monkeypatch):
    hosts.stock_fails = "no space"
    deployment = made()
    monkeypatch.setattr(FakeEngine, "_install", lambda *_: 1 / 0)
    with pytest.raises(Exception, match="failed"):
        deployment.deploy()
    monkeypatch.undo()
    hosts.stock_fails = ""
    deployment.deploy()
    assert hosts.images == {}


def test_engine_whose_hint_is_broken_is_told_and_deployed(made, hosts, recorder):
    made(engine="Broken").deploy()
    assert warnings(recorder) == [
        "Broken does not tell what it will install (KeyError: 'servers')"]
    assert bases_of(hosts) == hosts.plain


def test_first_container_of_a_clone_engine_has_what_its_inner_engine_installs(made, hosts):
    made(cloned=True).deploy()
    firsts = {label: args[1] for label, what, args in hosts.commands
              if what == "make" and args[11] == "whole"}
    assert firsts == stocked(hosts)
    assert hosts.images["two", firsts["two"]]["for"] == "FakeEngine"


def test_names_of_a_release_come_to_those_of_all():
    told = Beforehand("X", {"": ["git", "bc"], "debian 12": ["clang-14", "bc"]})
    assert told.names("debian 12") == ["bc", "clang-14", "git"]
    assert told.names("ubuntu 24.04") == ["bc", "git"]


def test_name_depends_on_the_plain_base_and_on_the_packages_alone():
    plain = BaseImage("debian", "bookworm")
    image = StockedImage(plain, "A", ("bc", "git"))
    assert image.name == StockedImage(plain, "B", ("git", "bc")).name
    others = [StockedImage(BaseImage("debian", "trixie"), "A", ("bc", "git")),
              StockedImage(plain, "A", ("bc",))]
    assert len({image.name, plain.name, *(other.name for other in others)}) == 4


# What packages make up for one server alone


@pytest.fixture
def root(tmp_path):
    """The root of a base, with all that is known to be a secret."""
    root = tmp_path / "root"
    for name in ("etc/ssh", "etc/iscsi", "etc/ssl/private", "etc/ssl/certs", "var/lib/dbus",
                 "var/lib/rabbitmq"):
        (root / name).mkdir(parents=True)
    secrets = {
        "etc/ssh/ssh_host_rsa_key": 0o600, "etc/machine-id": 0o444,
        "var/lib/dbus/machine-id": 0o444,
        "etc/iscsi/initiatorname.iscsi": 0o600, "etc/ssl/private/ssl-cert-snakeoil.key": 0o640,
        "etc/ssl/certs/ssl-cert-snakeoil.pem": 0o644, "var/lib/rabbitmq/.erlang.cookie": 0o400,
    }
    for name, mode in secrets.items():
        (root / name).write_text("InitiatorName=the-same-for-all\n")
        (root / name).chmod(mode)
    return root


def run(script, **env):
    subprocess.run(["sh", "-ec", script], check=True, env={**os.environ, **env})


def files_of(folder):
    return {str(path.relative_to(folder)): (path.read_text(), path.stat().st_mode & 0o777)
            for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def clone(root, folder):
    folder.mkdir()
    run(lxc_anew.MAKE_ANEW, of=str(root), files=str(folder), hostname="node")
    return files_of(folder)


def test_base_keeps_no_secret_and_each_clone_gets_its_own(root, tmp_path):
    run(lxc_anew.TAKE_OUT, root=str(root))
    kept = {name: text for name, (text, _) in files_of(root).items()}
    assert [n for n, text in kept.items() if "the-same" in text] == [
        "etc/ssl/certs/ssl-cert-snakeoil.pem"]  # public, and of no use without its key
    assert os.readlink(root / "var/lib/dbus/machine-id") == "/etc/machine-id"
    assert not list((root / "etc/ssh").iterdir())

    first, second = clone(root, tmp_path / "a"), clone(root, tmp_path / "b")
    assert {name: mode for name, (_, mode) in first.items()} == {
        "etc/iscsi/initiatorname.iscsi": 0o600, "etc/ssl/private/ssl-cert-snakeoil.key": 0o640,
        "etc/ssl/certs/ssl-cert-snakeoil.pem": 0o644, "var/lib/rabbitmq/.erlang.cookie": 0o400,
    }
    assert [name for name in first if first[name] == second[name]] == []
    assert len(first["var/lib/rabbitmq/.erlang.cookie"][0]) == 65
    assert first["etc/iscsi/initiatorname.iscsi"][0].startswith(
        "InitiatorName=iqn.1993-08.org.debian:01:")
    subprocess.run(
        ["openssl", "x509", "-noout", "-in", tmp_path / "a/etc/ssl/certs/ssl-cert-snakeoil.pem"],
        check=True)


def test_clone_of_a_deployed_container_keeps_what_that_one_has(root, tmp_path):
    assert clone(root, tmp_path / "clone") == {}
