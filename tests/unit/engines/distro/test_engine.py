"""The runbook with servers that only say what they were asked."""

import ast
import json
import re

import pytest

from rally_deploy.engines.distro import DistroEngine, readiness, wanted
from rally_deploy.engines.distro.schema import SERVICES
from rally_deploy.errors import CloudBroken, HostError
from rally_deploy.model import Server, State
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.engines.distro.fakes import FakeShell, look

UP = ("nova-conductor", "nova-scheduler", "neutron-linuxbridge-agent", "neutron-dhcp-agent",
      "neutron-l3-agent", "neutron-metadata-agent")


class FakeProvider(ServerProvider):
    CONFIG_SCHEMA = {
        "type": "object",
        "properties": {"type": {"x-alias": ["name"]}, "amount": {"default": 1},
                       "ours": {"default": True}},
    }

    def create_servers(self, image_uuid=None, type_id=None, amount=None):
        return [
            Server(f"192.0.2.{10 + n}", name=f"host-{n}",
                   resource_id=n + 1 if self.config["ours"] else None)
            for n in range(self.config["amount"])
        ]


class FakeServer(FakeShell):
    """One server of a cloud in which everything works, unless its answers say otherwise."""

    def __init__(self, server, world):
        host = server.name
        super().__init__({
            "VERSION_ID": look(hostname=host, addresses=server.host, source=server.host,
                               **world.look),
            "db:Status-Abbrev": lambda: self._there(),
            "dpkg-query -W -f '${Version}'": "1.0",
            "--simulate": "Inst keystone (1)\nInst mariadb-server (2)\nInst sudo [1] (2)\n",
            "cut -d: -f1 /etc/passwd": "root\nmysql\n",
            'echo "$state"': "ended 0",
            "converge": "started nova-compute\n",
            "date +%s": "1000",
            "sys.exit(main(": lambda: self._cloud(),
            "cat /var/lib/rdeploy/done": (1, "", ""),
            "/dev/tcp/$0": world.reach,
            "uname -n": host + "\n",
            "": "",
        }, server)
        self.world, self.installed = world, False

    def _there(self):
        if not self.world.installed:
            return ""
        names = re.findall(r"'\$\{db:Status-Abbrev\} \$\{Package\}\n' (.*)", self.scripts[-1])
        return "".join(f"ii  {name}\n" for name in names[0].split())

    def _cloud(self):
        text = self.scripts[-1]
        asked = json.loads(ast.literal_eval(text[text.rindex("main(") + 5:text.rindex("))\n")]))
        results = []
        for call in asked["calls"]:
            self.world.calls.append(call["name"])
            answer = self.world.answers.get(call["name"], {})
            results.append(answer(call["arguments"]) if callable(answer) else answer)
        return json.dumps({"results": results, "failure": None})


class World:
    """All servers of a test, and what the cloud on them answers."""

    def __init__(self, hosts=("host-0",), computes=("host-0",)):
        self.shells, self.calls, self.installed, self.look = {}, [], False, {}
        self.reach = ""  # ports of the controller that do not answer
        up = [{"name": name, "host": "host-0", "up": True, "seen": None} for name in UP]
        up += [
            {"name": name, "host": host, "up": True, "seen": None}
            for name, there in (("nova-compute", computes), ("neutron-linuxbridge-agent", hosts))
            for host in there
        ]
        self.answers = {
            "services_up": up,
            "hypervisors": [{"host": host, "up": True} for host in computes],
            "ensure_network": {"id": "net", "subnet_id": "subnet"},
            "boot": {"id": "vm"},
            "wait_active": {"status": "ACTIVE", "addresses": ["192.168.233.5"], "fault": "",
                            "task": "", "host": "host-0"},
            "give_floating_ip": {"address": "172.24.4.5"},
            "ssh_banner": "SSH-2.0-dropbear",
        }

    def get(self, server, observer, host_keys):
        return self.shells.setdefault(server.name, FakeServer(server, self))

    def close(self):
        pass

    def text(self, host="host-0"):
        return "\n".join(self.shells[host].scripts)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def make(tmp_path):
    """Returns a function from a world and keys of the config to the deployment."""
    opened = []

    def open_one(world, provider=None, **config):
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        deployer = open_deployer(folder, FakeProvider, shells=lambda: world)
        opened.append(deployer)
        return open_deployment(deployer, {
            "type": "DistroEngine", "provider": {"type": "FakeProvider", **(provider or {})},
            **config,
        })

    yield open_one
    for deployer in opened:
        deployer.close()


def test_all_in_one_becomes_ready_with_its_credentials(make, world):
    deployment = make(world, passwords={"admin": "given-by-user"})
    deployment.deploy()
    assert deployment.state is State.READY
    stored = deployment._work.store.credentials.get(deployment.uuid)
    assert stored["admin"]["auth_url"] == "http://192.0.2.10:5000/v3"
    assert stored["admin"]["password"] == "given-by-user"
    assert stored["services"]["compute"] == "http://192.0.2.10:8774/v2.1"


def test_networks_are_made_after_the_agents_have_reported(make, world):
    make(world).deploy()
    assert world.calls.index("services_up") < world.calls.index("ensure_network")


def test_server_of_the_proof_is_removed(make, world):
    make(world).deploy()
    assert world.calls[-1] == "remove_server"


def test_secrets_never_stand_on_a_command_line(make, world):
    deployment = make(world)
    deployment.deploy()
    secrets = [deployment.secret(name) for name in wanted._SECRETS.values()]
    commands = "\n".join(world.shells["host-0"].asked)
    assert [s for s in secrets if s in commands] == []
    assert all(s in world.text() + "".join(
        content for content, _, _ in world.shells["host-0"].files.values()) for s in secrets)


def test_tables_are_made_by_jobs_that_a_cancel_leaves_and_that_hold_no_secret(make, world):
    deployment = make(world, {"ours": False})
    deployment.deploy()
    jobs = {
        name: text for text in world.shells["host-0"].scripts if "setsid sh -c" in text
        for name in re.findall(r"/jobs/rd-[0-9a-f]{8}-tables-(\w+) ", text.splitlines()[0])
        if "-manage" in text
    }
    assert sorted(jobs) == sorted(SERVICES)
    secrets = [deployment.secret(name) for name in wanted._SECRETS.values()]
    assert [s for s in secrets if s in "".join(jobs.values())] == []
    world.shells["host-0"].asked.clear()
    deployment.destroy()
    ended = "\n".join(world.shells["host-0"].asked)
    assert all(f"-tables-{name}.ended" in ended for name in SERVICES)


def test_second_run_installs_nothing(make, world):
    world.installed = True
    make(world).deploy()
    assert "--download-only" not in world.text()
    assert "set -- install" not in world.text()


def test_fake_driver_builds_no_guest_and_needs_no_answer_of_one(make, world):
    make(world, virt_driver="fake").deploy()
    assert "busybox dropbear-bin" not in world.text()
    assert "ssh_banner" not in world.calls
    assert "nova-compute-ironic" in world.text()


def test_keystone_alone_is_proved_by_a_token(make, world):
    deployment = make(world, services=["keystone"])
    deployment.deploy()
    assert deployment.state is State.READY
    assert "boot" not in world.calls
    assert world.calls[-1] == "token"
    assert "nova" not in " ".join(world.shells["host-0"].files)


def test_computes_get_no_control_plane(make):
    world = World(("host-0", "host-1", "host-2"), ("host-1", "host-2"))
    make(world, {"amount": 3}).deploy()
    for host in ("host-1", "host-2"):
        assert "mariadb-server" not in world.text(host)
        assert "/etc/keystone/keystone.conf" not in world.shells[host].files
        assert "/etc/nova/nova-compute.conf" in world.shells[host].files
    assert "/etc/nova/nova-compute.conf" not in world.shells["host-0"].files


def test_compute_that_does_not_report_is_named(make, monkeypatch):
    monkeypatch.setattr(readiness, "TIMEOUT_S", 0)
    world = World(("host-0", "host-1", "host-2"), ("host-1",))
    deployment = make(world, {"amount": 3})
    with pytest.raises(CloudBroken, match="nova-compute on host-2 does not report"):
        deployment.deploy()
    assert deployment.state is State.FAILED


@pytest.mark.parametrize("seen", [999.0, 1000.0])
def test_report_from_before_a_restart_or_its_very_second_does_not_count(
    make, monkeypatch, world, seen
):
    monkeypatch.setattr(readiness, "TIMEOUT_S", 0)
    for service in world.answers["services_up"]:
        service["seen"] = seen
    with pytest.raises(CloudBroken) as error:
        make(world).deploy()
    assert error.value.details == "nova-compute on host-0 does not report"


def test_hypervisor_that_nova_does_not_know_is_discovered(make):
    world = World(("host-0", "host-1"), ("host-1",))
    seen = iter([[], [{"host": "host-1.example.org", "up": True}]])
    world.answers["hypervisors"] = lambda _: next(seen)
    make(world, {"amount": 2}).deploy()
    assert "cell_v2 discover_hosts" in "\n".join(world.shells["host-0"].asked)


def test_server_in_error_fails_with_novas_own_text(make, world):
    world.answers["wait_active"] = {
        "status": "ERROR", "addresses": [], "fault": "No valid host was found", "task": "",
        "host": ""}
    with pytest.raises(CloudBroken, match=r"(?s)is ERROR instead of ACTIVE.*No valid host"):
        make(world).deploy()
    assert world.calls[-1] == "remove_server"


def test_guest_that_does_not_answer_fails_with_its_console(make, world):
    world.answers.update({"ssh_banner": "", "console": "Kernel panic"})
    with pytest.raises(CloudBroken, match=r"(?s)does not answer on 172.24.4.5:22.*Kernel panic"):
        make(world).deploy()


def test_unsupported_release_fails_before_anything_is_installed(make, world):
    world.look = {"version": "13"}
    with pytest.raises(HostError, match="supported are Debian 12"):
        make(world).deploy()
    assert len(world.shells["host-0"].asked) == 1


def test_packages_on_a_foreign_server_are_recorded_before_they_are_installed(make, world):
    deployment = make(world, {"ours": False})
    deployment.deploy()
    (row,) = deployment.ledger.alive("openstack_packages")
    assert row.facts["packages"] == ["keystone", "mariadb-server"]
    assert "nova" in row.facts["users"]
    assert "mysql" not in row.facts["users"]
    text = world.text()
    assert text.index("--simulate") < text.index("--download-only")


def test_foreign_server_is_left_with_what_it_had(make, world):
    deployment = make(world, {"ours": False})
    deployment.deploy()
    world.shells["host-0"].scripts.clear()
    deployment.destroy()
    assert deployment.state is State.DESTROYED
    assert "purge" in world.text()
    assert "keystone mariadb-server" in "\n".join(world.shells["host-0"].asked)


def test_server_of_ours_is_not_cleaned_before_it_is_removed(make, world):
    deployment = make(world)
    deployment.deploy()
    assert deployment.ledger.alive("openstack_packages") == []


def test_roles_of_another_length_than_the_servers_are_refused(make, world):
    with pytest.raises(CloudBroken, match="'roles' names 2 servers, the provider gave 1"):
        make(world, roles=["all", "compute"]).deploy()


def test_engine_is_found_by_its_name(make, world):
    assert isinstance(make(world).engine(), DistroEngine)


HANDED = {
    "controller_ip": "192.0.2.99", "controller_service_password": "its-service-password",
    "controller_transport_url": "rabbit://openstack:its-broker-password@192.0.2.99:5672/",
}


def test_lone_controller_takes_computes_from_outside_and_boots_nothing_yet(make):
    world = World(("host-0",), ())
    deployment = make(world, roles=["controller"], virt_driver="fake")
    deployment.deploy()
    assert deployment.state is State.READY
    files = {path: content for path, (content, _, _) in world.shells["host-0"].files.items()}
    assert "NODE_IP_ADDRESS=0.0.0.0" in files["/etc/rabbitmq/rabbitmq-env.conf"]
    assert "my_ip = 192.0.2.10" in files["/etc/nova/nova.conf"]
    assert "boot" not in world.calls
    assert world.calls[-1] == "token"


def test_controller_hands_on_what_computes_need(make):
    world = World(("host-0",), ())
    deployment = make(world, roles=["controller"], passwords={"rabbit": "a/b@c:d"})
    deployment.deploy()
    assert deployment.engine().hand_on() == {
        "controller_ip": "192.0.2.10", "controller_host": "host-0",
        "controller_auth_url": "http://192.0.2.10:5000/v3",
        "controller_transport_url": "rabbit://openstack:a%2Fb%40c%3Ad@192.0.2.10:5672/",
        "controller_admin_password": deployment.secret("admin_password"),
        "controller_service_password": deployment.secret("service_password"),
        "controller_database_password": deployment.secret("database_password"),
        "controller_rabbit_password": "a/b@c:d",
    }


def test_nodes_of_a_controller_elsewhere_are_its_computes(make):
    world = World()
    deployment = make(world, {"amount": 2}, virt_driver="fake", handed_on=HANDED)
    deployment.deploy()
    assert deployment.state is State.READY
    assert deployment.result()["admin"] is None
    for host, address in (("host-0", "192.0.2.10"), ("host-1", "192.0.2.11")):
        files = {path: text for path, (text, _, _) in world.shells[host].files.items()}
        nova = files["/etc/nova/nova.conf"]
        assert f"transport_url = {HANDED['controller_transport_url']}" in nova
        assert "auth_url = http://192.0.2.99:5000/v3" in nova
        assert "password = its-service-password" in nova
        assert f"host = {host}\nmy_ip = {address}" in nova
        assert "endpoint_override = http://192.0.2.99:8778" in nova
        assert f"local_ip = {address}" in files["/etc/neutron/plugins/ml2/linuxbridge_agent.ini"]
        assert "/etc/keystone/keystone.conf" not in files
        assert "mariadb-server" not in world.text(host)
    assert world.calls == []  # nobody but the controller asks the cloud


def test_compute_whose_controller_is_given_by_its_address_has_the_given_passwords(make):
    world = World()
    deployment = make(world, virt_driver="fake", controller="192.0.2.99",
                      passwords={"service": "serv-given", "rabbit": "rabb-given"})
    deployment.deploy()
    text, _, _ = world.shells["host-0"].files["/etc/nova/nova.conf"]
    assert "rabbit://openstack:rabb-given@192.0.2.99:5672/" in text
    assert "password = serv-given" in text


def test_controller_that_does_not_answer_is_named_before_anything_is_installed(make):
    world = World()
    world.reach = "5672\n9696\n"
    deployment = make(world, virt_driver="fake", handed_on=HANDED)
    with pytest.raises(HostError, match=r"host-0: its controller 192\.0\.2\.99") as error:
        deployment.deploy()
    assert error.value.details == (
        "no answer of neutron (port 9696)\nno answer of the broker (port 5672)")
    assert "--download-only" not in world.text()


def test_computes_report_under_the_host_names_of_their_servers(make):
    world = World()
    node = make(world, {"amount": 2}, virt_driver="fake", handed_on=HANDED)
    node.deploy()
    assert node.engine().compute_hosts() == ["host-0", "host-1"]
    world = World(("host-0", "host-1"), ("host-1",))
    whole = make(world, {"amount": 2})
    whole.deploy()
    assert whole.engine().compute_hosts() == ["host-1"]


def admitted(make, **services):
    """A lone controller, and computes outside: host -> when it was seen last."""
    world = World(("host-0",), ())
    deployment = make(world, roles=["controller"], virt_driver="fake")
    deployment.deploy()
    for host, seen in services.items():
        world.answers["services_up"] += [
            {"name": "nova-compute", "host": host, "up": seen is not False, "seen": seen or None},
            {"name": "neutron-linuxbridge-agent", "host": host, "up": True, "seen": 1.0},
        ]
    world.answers["hypervisors"] = [{"host": host, "up": True} for host in services]
    world.calls.clear()
    return world, deployment


def test_admitted_computes_are_waited_for_and_a_server_is_booted(make):
    world, deployment = admitted(make, one=1001.0, two=1002.0)
    deployment.engine().admit(["one", "two"])
    assert world.calls[0] == "services_up"
    assert "boot" in world.calls
    assert world.calls[-1] == "remove_server"


def test_admitted_computes_that_nova_does_not_know_are_discovered(make):
    world, deployment = admitted(make, one=1001.0)
    seen = iter([[], [{"host": "one", "up": True}]])
    world.answers["hypervisors"] = lambda _: next(seen)
    deployment.engine().admit(["one"])
    assert "cell_v2 discover_hosts" in "\n".join(world.shells["host-0"].asked)


@pytest.mark.parametrize(("seen", "why"), [
    (False, "down"), (999.0, "from before its restart"), (1000.0, "may be from before")])
def test_compute_that_is_not_up_is_named_by_its_controller(make, monkeypatch, seen, why):
    monkeypatch.setattr(readiness, "TIMEOUT_S", 0)
    monkeypatch.setattr(readiness, "PER_HOST_S", 0)
    _, deployment = admitted(make, one=1001.0, two=seen)
    with pytest.raises(CloudBroken) as error:
        deployment.engine().admit(["one", "two"])
    assert error.value.details == "nova-compute on two does not report", why
