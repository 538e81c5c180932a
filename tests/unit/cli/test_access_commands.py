import stat

import pytest
import yaml


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
