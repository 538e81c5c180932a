"""DevstackEngine on servers that are stacked: what is joined, proved, told and returned."""

import itertools

import pytest

from rally_deploy.engines.devstack import DevstackEngine, computes, trust
from rally_deploy.errors import CloudBroken, HostError, RallyDeployError
from rally_deploy.model import Server
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.engines.devstack.fakes import FakeCloud, ServerShells, StackedShell

CONTROLLER = """
\1stackenv
ENABLED_SERVICES=key,n-api,n-cpu
\1clouds
clouds:
  devstack-admin:
    auth: {{auth_url: "{scheme}://{host}/identity", username: admin, password: p4ss}}
    region_name: RegionOne
{more}
\1transport
\1computes
{name}
\1ca
{ca}
"""
COMPUTE = """
\1stackenv
ENABLED_SERVICES=n-cpu,placement-client
\1clouds
\1transport
\1computes
{name}
\1ca
"""
CATALOG = {"identity": "http://192.0.2.1/identity", "compute": "http://192.0.2.1/compute"}
CA = "-----BEGIN CERTIFICATE-----\ncm9vdA==\n-----END CERTIFICATE-----"


def a_cloud(*computes, **answers):
    """A cloud without images: what is proved of it is a token."""
    up = [{"name": "nova-compute", "host": h, "up": True, "seen": 2000.0} for h in computes]
    return FakeCloud(**{
        "services_up": up, "hypervisors": [{"host": h, "up": True} for h in computes],
        "catalog": CATALOG, "token": {"services": []}, **answers,
    })


def controller(number, cloud, scheme="http", more="", ca=""):
    server, name = Server(f"192.0.2.{number}"), f"ctl{number}"
    written = CONTROLLER.format(scheme=scheme, host=server.host, name=name, more=more, ca=ca)
    return StackedShell(server, written, cloud, hostname=name)


def compute(number, **look):
    return StackedShell(Server(f"192.0.2.{number}"), COMPUTE.format(name=f"c{number}"),
                        hostname=f"c{number}", **look)


@pytest.fixture
def deployed(tmp_path, recorder):
    """Deploys on these servers; returns the deployment."""
    opened, number = [], itertools.count()

    def deploy(*shells, handed=None, **keys):
        folder = tmp_path / f"store-{next(number)}"
        folder.mkdir()
        deployer = open_deployer(
            folder, DevstackEngine, watcher=recorder, shells=lambda: ServerShells(*shells))
        opened.append(deployer)
        made = open_deployment(deployer, {
            "type": "DevstackEngine", **keys, "provider": {
                "type": "ExistingServers",
                "credentials": [f"root@{shell.server.host}" for shell in shells],
            },
        })
        made.handed = handed or {}
        made.deploy()
        return made

    yield deploy
    for deployer in opened:
        deployer.close()


def called(cloud, name):
    return [arguments for found, arguments in cloud.asked if found == name]


def warnings(recorder):
    return [e.title for e in recorder.events if str(e.kind) == "warning"]


class TestJoin:
    @pytest.mark.parametrize("prove", [True, False])
    def test_computes_are_joined_and_the_catalog_is_returned_whether_proved_or_not(
            self, deployed, prove):
        cloud = a_cloud("c2")
        made = deployed(controller(1, cloud), compute(2), prove=prove)
        assert called(cloud, "hypervisors")
        assert made.result()["services"] == CATALOG
        assert bool(called(cloud, "token")) == prove

    def test_keystone_that_does_not_answer_unproved_cloud_has_its_address_only(
            self, deployed, recorder):
        cloud = a_cloud(catalog=CloudBroken("", "refused"))
        made = deployed(controller(1, cloud), prove=False)
        assert made.result()["services"] == {"identity": "http://192.0.2.1/identity"}
        assert called(cloud, "catalog") == [{"tries": 1}]
        assert any("refused" in text for text in warnings(recorder))

    def test_keystone_that_does_not_answer_proved_cloud_fails(self, deployed):
        with pytest.raises(CloudBroken):
            deployed(controller(1, a_cloud(catalog=CloudBroken("no catalog"))))


class TestSeveralClouds:
    def test_each_is_proved_and_the_others_are_named(self, deployed, recorder):
        clouds = [a_cloud(), a_cloud(), a_cloud()]
        made = deployed(*(controller(n, cloud) for n, cloud in enumerate(clouds, 1)))
        assert [len(called(cloud, "token")) for cloud in clouds] == [1, 1, 1]
        assert made.result()["admin"]["auth_url"] == "http://192.0.2.1/identity"
        (told,) = [text for text in warnings(recorder) if "clouds" in text]
        assert "3 clouds" in told
        assert "http://192.0.2.2/identity, http://192.0.2.3/identity" in told

    def test_broken_one_fails_the_whole(self, deployed):
        broken = a_cloud(token=CloudBroken("", "401"))
        with pytest.raises(RallyDeployError, match="1 of 2 failed"):
            deployed(controller(1, a_cloud()), controller(2, broken))

    def test_one_cloud_is_told_nothing_of_others(self, deployed, recorder):
        deployed(controller(1, a_cloud()))
        assert not [text for text in warnings(recorder) if "clouds" in text]


class TestAdmit:
    GUESTS = {"images": [{"name": "i", "ram": 0, "disk": 1}], "networks": [],
              "flavors": [{"name": "f", "ram": 64, "disk": 1}]}

    def admitted(self, deployed, **keys):
        cloud = a_cloud("c9", catalog=dict.fromkeys(("compute", "image", "network"), "u"),
                        guests=self.GUESTS, boot={"id": "s"}, remove_server=None,
                        wait_active={"status": "ACTIVE", "addresses": [], "fault": ""})
        made = deployed(controller(1, cloud), **keys)
        cloud.asked.clear()
        made.engine().admit(["c9"])
        return [name for name, _ in cloud.asked]

    def test_server_is_booted_once_the_computes_are_up(self, deployed):
        calls = self.admitted(deployed)
        assert calls.index("hypervisors") < calls.index("boot")

    def test_unproved_controller_only_waits(self, deployed):
        calls = self.admitted(deployed, prove=False)
        assert "hypervisors" in calls
        assert not {"token", "boot"} & set(calls)


class TestTls:
    def test_others_get_the_certificates_as_text_and_check_them(self, deployed):
        made = deployed(controller(
            1, a_cloud(), "https", "    cacert: /opt/stack/data/ca-bundle.pem", CA))
        admin = made.result()["admin"]
        assert (admin["https_ca"], admin["https_cacert"]) == (CA, "")
        assert admin["https_insecure"] is False

    def test_without_tls_there_are_no_certificates(self, deployed):
        admin = deployed(controller(1, a_cloud())).result()["admin"]
        assert (admin["https_ca"], admin["https_insecure"]) == ("", False)


HTTPS = {"controller_ip": "192.0.2.1", "controller_auth_url": "https://192.0.2.1/identity",
         "controller_ca": f"{CA}\n{CA.replace('cm9vdA', 'aW50')}\n{CA}\n"}
FAKE = {"VIRT_DRIVER": "fake"}


class TestTrust:
    def conf(self, deployed, handed):
        """A compute's shell and engine."""
        shell = compute(2)
        made = deployed(shell, handed=handed, local_conf=FAKE)
        return shell, made.engine()

    def test_each_certificate_is_a_file_of_its_own_in_the_systems_store(self, deployed):
        shell, _ = self.conf(deployed, HTTPS)
        (sent,) = [text for text in shell.scripts if "rdeploy-controller-0.crt" in text]
        assert "rdeploy-controller-1.crt" in sent
        assert "rdeploy-controller-2.crt" not in sent
        assert "Environment=REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt" in sent
        assert any("update-ca-certificates" in text for text in shell.scripts)

    def test_stack_sh_finds_them(self, deployed):
        _, engine = self.conf(deployed, HTTPS)
        (node,) = engine._nodes()
        assert "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt" in node.environment

    @pytest.mark.parametrize("handed", [
        {**HTTPS, "controller_auth_url": "http://192.0.2.1/identity"},
        {**HTTPS, "controller_ca": ""}, {},
    ])
    def test_without_tls_or_with_public_certificates_nothing_is_changed(self, deployed, handed):
        shell, engine = self.conf(deployed, handed)
        assert not [text for text in shell.scripts if "rdeploy-controller" in text]
        (node,) = engine._nodes()
        assert not [word for word in node.environment if "CA_BUNDLE" in word]

    def test_destroy_removes_them(self, deployed):
        shell = compute(2)
        made = deployed(shell, handed=HTTPS, local_conf=FAKE)
        trust.remove(shell)
        before = shell.scripts[-1]
        shell.scripts.clear()
        made.destroy()
        assert before in shell.scripts

    @pytest.mark.parametrize("local_conf", [
        {}, "", {"ENABLED_SERVICES": "n-cpu,ovn-controller"},
        {"VIRT_DRIVER": "libvirt", "ENABLED_SERVICES+": ",c-vol"},
    ])
    def test_compute_with_ovn_is_refused_before_any_server_is_touched(self, deployed, local_conf):
        shell = compute(2)
        with pytest.raises(RallyDeployError, match="OVN cannot join"):
            deployed(shell, handed=HTTPS, local_conf=local_conf)
        assert shell.scripts == []

    @pytest.mark.parametrize("local_conf", [
        FAKE, {"ENABLED_SERVICES": "n-cpu,placement-client,q-agt"},
        {"OVN_SB_REMOTE": "tcp:192.0.2.1:6643"}, {"ENABLED_SERVICES+": ",tls-proxy"},
        {"ENABLED_SERVICES+": ",-ovn-controller,-q-ovn-metadata-agent"},
    ])
    def test_compute_that_needs_no_keys_is_taken(self, local_conf):
        trust.require_no_keys(HTTPS, local_conf)

    def test_compute_with_ovn_of_a_controller_without_tls_is_taken(self):
        trust.require_no_keys({**HTTPS, "controller_auth_url": "http://192.0.2.1/identity"}, {})


class TestRole:
    CLOUD = {"SERVICE_HOST": "ctl.example.org", "ENABLED_SERVICES": "n-cpu,placement-client"}

    @pytest.mark.parametrize("local_conf", [
        CLOUD, {**CLOUD, "ENABLED_SERVICES+": ",q-agt"},
        {"SERVICE_HOST": "ctl", "ENABLED_SERVICES": "n-cpu,key,n-api",
         "ENABLED_SERVICES+": ",-key,-n-api"},
        "[[local|localrc]]\nSERVICE_HOST=ctl\nENABLED_SERVICES=n-cpu\n",
    ])
    def test_compute_of_a_cloud_elsewhere_needs_the_memory_of_one(self, deployed, local_conf):
        small = compute(2, memory="800")
        assert deployed(small, local_conf=local_conf).result()["admin"] is None

    @pytest.mark.parametrize("local_conf", [
        {}, {"SERVICE_HOST": "ctl"}, {"ENABLED_SERVICES": "n-cpu"},
        {**CLOUD, "ENABLED_SERVICES": "key,n-cpu"},
        {"SERVICE_HOST": "ctl", "ENABLED_SERVICES+": ",-n-api"},
    ])
    def test_what_may_be_a_whole_cloud_needs_the_memory_of_one(self, deployed, local_conf):
        with pytest.raises(HostError, match="DevStack cannot be run") as caught:
            deployed(compute(2, memory="800"), local_conf=local_conf)
        assert "1900" in caught.value.details

    def test_node_of_a_controller_of_ours_is_a_compute(self):
        assert computes.is_compute({"controller_ip": "192.0.2.1"}, {})
