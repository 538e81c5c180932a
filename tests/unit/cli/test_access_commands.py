import stat
import subprocess

import pytest
import yaml

from rally_deploy import paths
from rally_deploy.cli.settings import Settings

CA = "-----BEGIN CERTIFICATE-----\ncm9vdA==\n-----END CERTIFICATE-----"


@pytest.mark.parametrize("name", ["openrc", "clouds-yaml", "config"])
def test_output_file_is_private_and_whole(rdeploy, name):
    rdeploy.create()
    file = rdeploy.folder / "out put"
    file.write_text("old " * 10_000)
    file.chmod(0o644)
    done = rdeploy(name, "--output", file)
    assert (done.code, done.out) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == rdeploy(name).out
    assert list(rdeploy.folder.glob(".out*")) == []


def test_output_file_that_cannot_be_written_is_a_clear_error(rdeploy):
    rdeploy.create()
    done = rdeploy("openrc", "--output", rdeploy.folder / "no" / "such" / "file")
    assert done.code == 2
    assert "cannot be written: No such file or directory" in done.err


def test_output_to_a_device_leaves_the_device(rdeploy):
    rdeploy.create()
    assert rdeploy("openrc", "--output", "/dev/null").code == 0
    assert rdeploy("openrc", "--output", "/dev/null").code == 0


def test_clouds_yaml_has_the_deployments_name(rdeploy):
    rdeploy.create("--name", "my cloud")
    assert list(yaml.safe_load(rdeploy("clouds-yaml").out)["clouds"]) == ["my cloud"]


def test_openrc_of_one_that_is_not_ready_says_so(rdeploy):
    rdeploy("create", "--file", rdeploy.config(refuse="packages-1"))
    done = rdeploy("openrc", "cloud")
    assert done.code == 2
    assert "it has no credentials" in done.err


def test_openrc_of_an_unknown_user_says_so(rdeploy):
    rdeploy.create()
    done = rdeploy("openrc", "--user", "eve")
    assert (done.code, "no user 'eve'" in done.err) == (2, True)


def test_what_next_quotes_an_odd_name(rdeploy):
    assert "rdeploy show 'my cloud'" in rdeploy.create("--name", "my cloud").out


@pytest.mark.parametrize("name", ["a/b", "-x", "a\nb", "x" * 101, " x", "\x1b[2J"])
def test_odd_name_is_a_usage_error(rdeploy, name):
    done = rdeploy("create", f"--name={name}", "--file", rdeploy.config())
    assert done.code == 2
    assert "is no name" in done.err


@pytest.fixture
def https(rdeploy):
    """A cloud of ours that speaks https, and the file that its certificates go to."""
    rdeploy.create()
    with Settings().open_deployer() as deployer:
        uuid = deployer.find("cloud").uuid
        cloud = deployer.credentials(uuid)
        admin = {**cloud["admin"], "auth_url": "https://127.0.0.1:1/identity", "https_ca": CA}
        deployer.store.credentials.replace(uuid, {**cloud, "admin": admin})
    return paths.data_dir() / "ssh" / uuid / "ca.pem"


def test_openrc_of_a_cloud_with_certificates_of_its_own_names_their_file(rdeploy, https):
    done = subprocess.run(
        ["sh", "-c", f"{rdeploy('openrc', 'cloud').out}\necho \"$OS_CACERT $OS_INSECURE\""],
        capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(https)
    assert https.read_text() == CA + "\n"
    assert stat.S_IMODE(https.stat().st_mode) == 0o600


def test_clouds_yaml_of_a_cloud_with_certificates_of_its_own_names_their_file(rdeploy, https):
    (cloud,) = yaml.safe_load(rdeploy("clouds-yaml", "cloud").out)["clouds"].values()
    assert cloud["cacert"] == str(https)
    assert "verify" not in cloud
    assert https.exists()


def test_check_writes_the_file_of_the_certificates_that_it_looks_for(rdeploy, https):
    assert rdeploy("check", "cloud").code == 1
    assert https.exists()


def test_certificates_go_with_the_deployment(rdeploy, https):
    rdeploy("openrc", "cloud")
    assert https.exists()
    assert rdeploy("destroy", "cloud", "--yes").code == 0
    assert not https.parent.exists()


def test_cloud_without_certificates_of_its_own_has_no_such_file(rdeploy):
    rdeploy.create()
    assert "export OS_CACERT" not in rdeploy("openrc").out
    assert list(rdeploy.folder.rglob("ca.pem")) == []
