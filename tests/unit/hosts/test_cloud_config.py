"""A cloud-config that cloud-init would ignore is found before there is a server."""

import pytest

from rally_deploy.hosts.cloud_config import problem


@pytest.mark.parametrize("text", [
    "#cloud-config\nruncmd: [[sh, -c, 'echo $HOME']]\n",
    "#cloud-config\r\n disable_root: false\r\n",
    "#cloud-config\nhostname: !!python/unicode 'ours'\n",
    "#cloud-config\n# nothing\n", "\n#Cloud-Config\n{}", "",
    "## template: jinja\n#cloud-config\n{% if v1.region %}", "#!/bin/sh\necho [",
    "#cloud-config-archive\n- a", "#cloud-boothook\n[",
])
def test_what_cloud_init_takes_is_good(text):
    assert problem(text) == ""


@pytest.mark.parametrize(("text", "part"), [
    ("#cloud-config\nruncmd:\n- 'echo a\n", "it is not YAML in line 4"),
    ("#cloud-config\npackages: [nano]\n  runcmd: x\n", "in line 3"),
    ("#cloud-config\na: b: c\n", "a: b: c"),
    ("#cloud-config\na: *nowhere\n", "undefined alias"),
    ("#cloud-config\na: \x07\n", "it is not YAML: "),
    ("#cloud-config\n- packages\n", "keys with values"),
    ("#cloud-config\npackages\n", "keys with values"),
])
def test_broken_one_is_told_with_its_place(text, part):
    assert part in problem(text)
