import json

import pytest

from rally_deploy.errors import ResourceConflict
from rally_deploy.hosts import lxc_base
from rally_deploy.hosts.apt_sources import HostSources
from rally_deploy.hosts.lxc_base import BaseImage, resolve_image


def test_name_depends_on_everything_that_is_in_the_base():
    plain = BaseImage("debian", "bookworm")
    others = [
        BaseImage("ubuntu", "bookworm"), BaseImage("debian", "trixie"),
        BaseImage("debian", "bookworm", "i386"), BaseImage("debian", "bookworm", "", ("git",)),
        BaseImage("debian", "bookworm", template_options=("-x",)),
    ]
    assert plain.name == BaseImage("debian", "bookworm").name
    assert len({image.name for image in [plain, *others]}) == 6


def test_order_of_packages_makes_no_other_base():
    one, other = (
        resolve_image(BaseImage("", "", "", packages), "debian", "bookworm")
        for packages in (("a", "b"), ("b", "a", "a"))
    )
    assert one.name == other.name
    assert one.packages == ("a", "b")


@pytest.mark.parametrize(("wanted", "host", "result"), [
    (("", ""), ("debian", "bookworm"), ("debian", "bookworm")),
    (("", ""), ("ubuntu", "noble"), ("ubuntu", "noble")),
    (("", ""), ("fedora", ""), ("debian", "")),
    (("ubuntu", ""), ("debian", "bookworm", "jammy"), ("ubuntu", "jammy")),
    (("ubuntu", ""), ("ubuntu", "noble", "resolute"), ("ubuntu", "noble")),
    (("debian", "trixie"), ("debian", "bookworm"), ("debian", "trixie")),
])
def test_what_config_leaves_open_is_as_on_the_host(wanted, host, result):
    found = resolve_image(BaseImage(*wanted), *host)
    assert (found.distribution, found.release) == result


def test_build_arguments_hold_packages_sources_mirrors_and_template_options():
    sources = HostSources("debian", "bookworm", (("http://m/d/", "bookworm", "main"),), ("x;",))
    image = BaseImage("debian", "bookworm", "amd64", ("git",), ("--enable-non-free",))
    arguments = lxc_base.build_arguments(image, sources)
    assert arguments[:2] == [image.name, "debian"]
    assert json.loads(arguments[2])["release"] == "bookworm"
    assert arguments[3].split()[-1] == "git"
    assert "openssh-server" in arguments[3].split()
    assert arguments[4:6] == ["deb http://m/d/ bookworm main", "x;"]
    assert arguments[6:] == [
        "http://m/d", "", "-r", "bookworm", "-a", "amd64", "--enable-non-free"
    ]


def test_container_that_is_no_base_is_never_removed_as_one():
    with pytest.raises(ResourceConflict, match="not a base container"):
        lxc_base.remove_image(None, "web-server")
