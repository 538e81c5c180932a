"""LxcEngine on hosts in memory: names, order, what is made again by a resume, what is removed."""

import pytest

from rally_deploy import config as configs
from rally_deploy.config import Document
from rally_deploy.engines.lxc import LxcEngine
from rally_deploy.engines.lxc import engine as lxc_engine
from rally_deploy.errors import (
    CloudBroken,
    ConfigError,
    EachFailed,
    HostError,
    PartlyDeployed,
)
from rally_deploy.hosts.lxc_seed import FOLDER
from rally_deploy.model import State
from rally_deploy.testing.contract import EngineContract, open_deployer, open_deployment
from rally_deploy.testing.fakes import FakeEngine
from rally_deploy.testing.world import World
from tests.functional.lxc_rig import GivenHosts
from tests.unit.hosts.fake_host import Hosts

REMOTE = [{"host": "192.0.2.1", "name": "one"}, {"host": "192.0.2.2", "name": "two"}]


class Inner(FakeEngine):
    """A FakeEngine whose clones have a script and whose servers are computes."""

    handed = []
    broken = ""  # the end of the name of a deployment that fails

    def deploy(self):
        self.handed.append(dict(self.deployment.handed))
        if self.broken and self.deployment.name.endswith(self.broken):
            raise CloudBroken("it is broken")
        if self.config["refuse"] == "deploy":
            raise CloudBroken("it was to fail")
        return super().deploy()

    def clone_script(self):
        return "echo $1 $2"

    def compute_hosts(self):
        return [f"{server.name}1" for server in self.deployment.servers()]

    def hand_on(self):
        return {"controller_ip": "of the first"}


class Outsiders(Inner):
    """Computes of a cloud that is no deployment of ours."""

    def deploy(self):
        super().deploy()
        return {"admin": None, "users": [], "services": {}}


def block_on(hosts, world, **keys):
    return {
        "type": "LxcEngine", "container_name": "compute", "nodes_per_server": 3,
        "start_lxc_network": "10.1.1.0/24",
        "provider": {"type": "GivenHosts", "hosts": hosts},
        "engine": {"name": "Inner", "world": str(world)}, **keys,
    }


@pytest.fixture
def hosts():
    return Hosts()


@pytest.fixture
def deployer(tmp_path, recorder, hosts):
    (tmp_path / "store").mkdir()
    with open_deployer(
        tmp_path / "store", LxcEngine, Inner, Outsiders, GivenHosts, watcher=recorder,
        shells=lambda: hosts,
    ) as deployer:
        yield deployer


@pytest.fixture
def made(deployer, tmp_path):
    """Makes a deployment with an LxcEngine."""

    def make(on=REMOTE, **keys):
        return open_deployment(deployer, block_on(on, tmp_path / "world", **keys))

    return make


class TestLxcEngineContract(EngineContract):
    plugin = LxcEngine

    @pytest.fixture
    def block(self, tmp_path):
        self.hosts = Hosts()
        return block_on(REMOTE, tmp_path / "world")

    @pytest.fixture
    def deployer(self, block, tmp_path):
        with open_deployer(
            tmp_path, LxcEngine, Inner, GivenHosts, shells=lambda: self.hosts
        ) as deployer:
            yield deployer

    def leftovers(self, block):
        things = sorted(name for things in self.hosts.things.values() for name in things)
        world = World(block["engine"]["world"]).names()
        # What is inside of a container ends with it, without a call.
        return things + [name for name in world if "packages" not in name]


def names(hosts, host):
    return sorted(n.split("-", 2)[2] for n in hosts.things[host] if "net" not in n)


def test_names_have_the_prefix_the_hosts_network_and_a_number(made, hosts):
    made().deploy()
    assert names(hosts, "one") == [f"compute-10-1-1-0-00{n}" for n in range(3)]
    assert names(hosts, "two") == [f"compute-10-1-2-0-00{n}" for n in range(3)]


def test_names_without_a_given_network_have_the_hosts_number(made, hosts):
    made(start_lxc_network="", container_name="a_b.").deploy()
    assert names(hosts, "one") == [f"a-b-0-00{n}" for n in range(3)]
    assert names(hosts, "two") == [f"a-b-1-00{n}" for n in range(3)]


def test_servers_are_the_containers_of_all_hosts_in_their_order(made):
    deployment = made()
    deployment.deploy()
    assert [(s.host, s.jump.label) for s in deployment.servers()] == [
        *((f"10.1.1.{n}", "one") for n in (2, 3, 4)), *((f"10.1.2.{n}", "two") for n in (2, 3, 4))
    ]


def test_clones_are_made_of_the_deployed_first_one_and_not_of_the_base(made, hosts):
    deployment = made(REMOTE[:1])
    deployment.deploy()
    first = f"rd-{deployment.record.short}-compute-10-1-1-0-000"
    makes = {args[0]: args for _, what, args in hosts.commands if what == "make"}
    assert makes[first][1].startswith("rd-base-")
    assert makes[first][11] == "whole"
    assert {args[1] for name, args in makes.items() if name != first} == {first}
    whats = hosts.whats("one")
    assert whats.index("stop") < whats.index("freeze") < whats.index("make", whats.index("stop"))


def test_script_of_the_inner_engine_lies_in_the_first_container(made, hosts):
    deployment = made(REMOTE[:1])
    deployment.deploy()
    first = f"rd-{deployment.record.short}-compute-10-1-1-0-000"
    script = hosts.files[first, f"{FOLDER}/script"]
    assert script == "#!/bin/sh -e\necho $1 $2"
    assert hosts.files[first, f"{FOLDER}/made-for"] == f"{first} 10.1.1.2\n"


@pytest.mark.parametrize("seed", ["overlay", "snapshot", "copy"])
def test_all_containers_run_at_the_end(made, hosts, seed):
    hosts.seed = seed
    made().deploy()
    assert [len(hosts.running[host]) for host in ("one", "two")] == [3, 3]


def test_result_is_the_first_childs_and_handed_values_reach_it(made, deployer, tmp_path):
    Inner.handed.clear()
    parent = made()
    block = block_on(REMOTE, tmp_path / "world")
    child = parent.child("node", block, handed={"controller_ip": "10.9.9.9"})
    child.deploy()
    assert child.result()["admin"]["auth_url"] == "http://192.0.2.1/identity/v3"
    assert Inner.handed == [{"controller_ip": "10.9.9.9"}] * 2
    assert child.engine().hand_on() == {"controller_ip": "of the first"}


def test_computes_are_named_after_each_container_as_the_inner_engine_names_the_first(made):
    deployment = made()
    deployment.deploy()
    assert deployment.engine().compute_hosts() == [s.name + "1" for s in deployment.servers()]


def test_inner_engine_without_computes_has_none_in_its_clones(made, tmp_path):
    deployment = made(engine={"name": "FakeEngine", "world": str(tmp_path / "world")})
    deployment.deploy()
    assert deployment.engine().compute_hosts() == []


def test_inner_engine_that_fails_no_clone_is_made_and_destroy_leaves_nothing(
    made, hosts, tmp_path
):
    deployment = made(
        engine={"name": "Inner", "world": str(tmp_path / "world"), "refuse": "deploy"})
    with pytest.raises(EachFailed, match="2 of 2 failed"):
        deployment.deploy()
    assert names(hosts, "one") == ["compute-10-1-1-0-000"]
    deployment.destroy()
    assert hosts.things == {"one": set(), "two": set()}


@pytest.mark.parametrize("seed", ["overlay", "copy"])
def test_clone_that_fails_resume_makes_only_what_lacks(made, hosts, seed):
    hosts.seed = seed
    deployment = made(REMOTE[:1])
    hosts.refused["wait"] = 69, "10.1.1.4"
    engine_fails = deployment.deploy
    with pytest.raises(Exception, match="no SSH server answers"):
        engine_fails()
    assert deployment.state is State.FAILED
    hosts.refused.clear()
    deployment.deploy()
    lost = f"rd-{deployment.record.short}-compute-10-1-1-0-002"
    hosts.commands.clear()
    deployment.move(State.DESTROYING)
    deployment.move(State.FAILED)
    row = next(r for r in deployment.ledger.alive("lxc_clone") if r.name == lost)
    deployment.ledger.release(row, deployment.engine().delete)
    deployment.deploy()
    assert [args[0] for _, what, args in hosts.commands if what == "make"] == [lost]
    assert ("stop" in hosts.whats()) == (seed == "copy")
    assert "freeze" not in hosts.whats()
    assert len(hosts.running["one"]) == 3


def test_clones_are_removed_before_what_they_lie_on(made, hosts):
    deployment = made()
    deployment.deploy()
    hosts.commands.clear()
    deployment.destroy()
    removed = [args[0].rsplit("-", 1)[1] for _, what, args in hosts.commands if what == "remove"]
    assert set(removed[:4]) == {"001", "002"}
    assert removed[4:6] == ["000", "000"]
    assert hosts.things == {"one": set(), "two": set()}


def test_service_that_does_not_run_is_told_with_its_container(made, hosts):
    deployment = made(REMOTE[:1])
    short = deployment.record.short
    sick = f"rd-{short}-compute-10-1-1-0-001"
    hosts.refused[sick, "wait_for_services"] = 70, "some log\nnova-compute.service failed"
    with pytest.raises(PartlyDeployed, match="1 of 3 containers failed") as caught:
        deployment.deploy()
    assert f"{sick}: a service that ran in the first container does not run: " \
           "nova-compute.service failed" in caught.value.details


def test_clone_that_is_no_node_of_its_own_is_told(made, hosts):
    hosts.refused["start"] = 69, "sed: no such file"
    with pytest.raises(HostError, match="could not be made a node of its own") as caught:
        made(REMOTE[:1]).deploy()
    assert "sed: no such file" in caught.value.details


@pytest.mark.parametrize("seed", ["overlay", "copy"])
def test_clone_that_does_not_start_keeps_no_other_from_being_used(made, hosts, recorder, seed):
    hosts.seed = seed
    deployment = made(REMOTE[:1])
    short = deployment.record.short
    first, good, lost = (f"rd-{short}-compute-10-1-1-0-00{n}" for n in range(3))
    hosts.refused[lost, "start"] = 70, "no such cgroup"
    with pytest.raises(PartlyDeployed, match=f"1 of 3 containers failed: {lost}") as caught:
        deployment.deploy()
    assert caught.value.hosts == (f"{first}1", f"{good}1")
    assert "no such cgroup" in caught.value.details
    assert any(lost in e.title for e in recorder.events if str(e.kind) == "warning")
    assert hosts.running["one"] == {first, good}
    waited = [label for label, what, _ in hosts.commands if what == "wait_for_services"]
    assert sorted(waited) == [first, good]
    hosts.refused.clear()
    hosts.commands.clear()
    deployment.deploy()
    assert [args[0] for _, what, args in hosts.commands if what == "make"] == [lost]
    assert hosts.running["one"] == {first, good, lost}


@pytest.mark.parametrize("step", ["script", "services"])
def test_container_that_does_not_come_up_keeps_no_other_from_being_used(
    made, hosts, tmp_path, monkeypatch, step
):
    script = tmp_path / "start.sh"
    script.write_text("echo")
    broken = {"2"}

    def run(deployment, text, node):
        if step == "script" and str(node.number) in broken:
            raise HostError(node.server, "the start script ended with status 9")

    monkeypatch.setattr(lxc_engine, "run_start_script", run)
    deployment = made(REMOTE[:1], start_script=str(script))
    first, good, sick = (f"rd-{deployment.record.short}-compute-10-1-1-0-00{n}" for n in range(3))
    if step == "services":
        hosts.refused[sick, "wait_for_services"] = 70, "nova-compute.service failed"
    with pytest.raises(PartlyDeployed, match=f"1 of 3 containers failed: {sick}") as caught:
        deployment.deploy()
    assert caught.value.hosts == (f"{first}1", f"{good}1")
    assert len(deployment.servers()) == 3
    waited = [label for label, what, _ in hosts.commands if what == "wait_for_services"]
    assert {first, good} <= set(waited)
    assert (sick in waited) == (step == "services")
    broken.clear()
    hosts.refused.clear()
    deployment.deploy()
    assert deployment.state is State.READY


def test_first_container_that_fails_on_one_host_keeps_no_other_host_from_being_used(
    made, hosts, monkeypatch
):
    monkeypatch.setattr(Inner, "broken", "first-1")
    deployment = made()
    short = deployment.record.short
    lost = f"rd-{short}-compute-10-1-2-0-000"
    with pytest.raises(PartlyDeployed, match=f"1 of 6 containers failed: {lost}") as caught:
        deployment.deploy()
    assert caught.value.hosts == tuple(f"rd-{short}-compute-10-1-1-0-00{n}1" for n in range(3))
    assert "it is broken" in caught.value.details
    assert names(hosts, "two") == ["compute-10-1-2-0-000"]
    assert len(hosts.running["one"]) == 3
    assert lost in [server.name for server in deployment.servers()]
    monkeypatch.setattr(Inner, "broken", "")
    deployment.deploy()
    assert [len(hosts.running[host]) for host in ("one", "two")] == [3, 3]
    assert len(deployment.engine().compute_hosts()) == 6


def test_forwarded_ports_of_the_host_lead_to_all_containers_and_go_with_them(made, hosts):
    deployment = made(REMOTE[:1], forward_ssh=True)
    deployment.deploy()
    assert sorted((s.host, s.port) for s in deployment.servers()) == [
        ("192.0.2.1", 1222), ("192.0.2.1", 1223), ("192.0.2.1", 1224)]
    deployment.destroy()
    assert hosts.things == {"one": set()}


def test_memory_per_node_is_told_once(made, recorder):
    made().deploy()
    notes = [e.title for e in recorder.events if "memory" in e.title]
    assert notes == ["memory per node: 101 MB of its own (100 to 102), "
                     "120 MB less available on the host; 6 nodes"]


def test_clones_that_may_not_fit_into_memory_are_warned_of(made, hosts, recorder):
    hosts.memory = 199_000_000
    made(REMOTE[:1]).deploy()
    told = [e.title for e in recorder.events if "clones may need" in e.title]
    assert told == [
        "2 clones may need 200 MB of memory, 199 MB are available: the first container has taken "
        "100 MB of its own; fewer nodes per server need less"]


def test_resume_counts_only_the_clones_that_lack(made, hosts, recorder):
    deployment = made(REMOTE[:1])
    sick = f"rd-{deployment.record.short}-compute-10-1-1-0-001"
    hosts.refused[sick, "wait_for_services"] = 70, "nova-compute.service failed"
    with pytest.raises(PartlyDeployed, match="1 of 3 containers failed"):
        deployment.deploy()
    hosts.refused.clear()
    hosts.memory = 400_000_000  # 40 MB are left beside the three
    deployment.deploy()
    assert len(hosts.running["one"]) == 3
    assert not [e.title for e in recorder.events if "clones may need" in e.title]


@pytest.mark.parametrize(("engine", "told"), [("Outsiders", 1), ("Inner", 0)])
def test_computes_of_a_cloud_elsewhere_are_told_of_with_what_to_run_there(
    made, recorder, tmp_path, engine, told
):
    made(REMOTE[:1], engine={"name": engine, "world": str(tmp_path / "world")}).deploy()
    notes = [e.title for e in recorder.events if "discover_hosts" in e.title]
    assert len(notes) == told
    assert all(note.startswith("3 computes belong to a cloud elsewhere") for note in notes)


def test_computes_of_a_controller_of_ours_are_left_to_it(made, recorder, tmp_path):
    block = block_on(REMOTE[:1], tmp_path / "world")
    block["engine"]["name"] = "Outsiders"
    made().child("node", block, handed={"controller_ip": "10.9.9.9"}).deploy()
    assert not [e.title for e in recorder.events if "discover_hosts" in e.title]


def test_hosts_of_ours_go_before_the_nested_deployments_on_them(deployer, hosts, tmp_path):
    world = tmp_path / "world"
    deployment = open_deployment(deployer, block_on(
        [], world, provider={"type": "FakeProvider", "world": str(world), "amount": 2}))
    deployment.deploy()
    assert len(deployment.servers()) == 6
    deployment.destroy()
    assert deployment.state is State.DESTROYED
    assert [n for n in World(world).names() if "packages" not in n] == []


# Tunnels


@pytest.fixture
def relative(deployer, tmp_path):
    """Containers on host one in another part of the tree than an LxcEngine on host two."""
    world = str(tmp_path / "world")
    parent = open_deployment(deployer, {
        "type": "FakeEngine", "world": world,
        "provider": {"type": "FakeProvider", "world": world},
    })
    parent.child("first", block_on(REMOTE[:1], world, nodes_per_server=1)).deploy()

    def make(to):
        return parent.child("second", block_on(
            REMOTE[1:], world, nodes_per_server=1, start_lxc_network="10.1.9.0/24",
            tunnel_to=[to], tunnel_type="vxlan"))

    return make


def test_tunnel_to_a_host_of_the_same_tree_has_both_ends_in_one_ledger(
    relative, hosts, recorder
):
    second = relative("192.0.2.1")
    second.deploy()
    rows = second.ledger.alive("tunnel")
    behind = {row.host.label: [net for net, _ in row.facts["routes"]] for row in rows}
    assert behind == {"one": ["10.1.9.0/24"], "two": ["10.1.1.0/24"]}
    # Each end's way is the other one's inner address.
    ways = {row.facts["routes"][0][1] for row in rows}
    assert len(ways) == len(rows) == 2
    assert not [e for e in recorder.events if "to reach" in e.title]
    second.destroy()
    assert [name for name in hosts.things["one"] if "tunnel" in name] == []
    assert hosts.things["two"] == set()


def test_tunnel_to_a_host_outside_of_the_tree_is_told_what_is_to_be_done_there(
    relative, recorder
):
    second = relative("203.0.113.9")
    second.deploy()
    assert [row.host.label for row in second.ledger.alive("tunnel")] == ["two"]
    told = [e.title for e in recorder.events if "to reach" in e.title]
    assert [text.splitlines()[0] for text in told] == ["on 203.0.113.9, to reach 10.1.9.0/24:"]


# The config


def problems(block, deployer):
    with pytest.raises(ConfigError) as caught:
        configs.validate(Document(block), deployer.registry, {})
    return {p.path: p.message for p in caught.value.problems}


def test_network_without_three_spare_addresses_is_a_mistake(deployer, tmp_path):
    block = block_on(REMOTE, tmp_path, start_lxc_network="10.1.1.0/28", nodes_per_server=14)
    assert problems(block, deployer) == {
        "start_lxc_network":
            "10.1.1.0/28 has 16 addresses; 14 containers per host need 17",
    }
    block["nodes_per_server"] = 13
    assert configs.validate(Document(block), deployer.registry, {}) == []


def test_start_script_that_is_not_there_is_a_mistake(deployer, tmp_path):
    block = block_on(REMOTE, tmp_path, start_script=str(tmp_path / "none.sh"))
    assert problems(block, deployer) == {
        "start_script": f"there is no file {tmp_path}/none.sh"}


def test_provider_of_the_inner_engine_is_warned_of(deployer, tmp_path):
    block = block_on(REMOTE, tmp_path)
    block["engine"]["provider"] = {"type": "Anything"}
    warnings = configs.validate(Document(block), deployer.registry, {})
    assert [(w.path, w.message) for w in warnings] == [
        ("engine.provider", "it has no effect: the server is each host's first container")]


@pytest.mark.parametrize(("inner", "said"), [
    ({"type": "LxcEngine", "containers_per_host": 1, "engine": {"type": "DistroEngine"}},
     "containers in the containers cannot be cloned"),
    ({"type": "ExistingCloud", "auth_url": "http://h:5000/v3",
      "admin": {"username": "u", "password": "p", "project_name": "p"}},
     "ExistingCloud cannot stand here: it takes no 'provider'"),
])
def test_inner_engine_that_puts_nothing_onto_a_server_is_a_mistake(
    deployer, tmp_path, inner, said
):
    found = problems(block_on(REMOTE, tmp_path, engine=inner), deployer)
    assert list(found) == ["engine.type"]
    assert said in found["engine.type"]


def test_old_and_new_names_of_keys_are_the_same(deployer, tmp_path):
    block = block_on(REMOTE, tmp_path)
    block["containers_per_host"] = block.pop("nodes_per_server")
    block["container_name_prefix"] = block.pop("container_name")
    assert configs.validate(Document(block), deployer.registry, {}) == []
