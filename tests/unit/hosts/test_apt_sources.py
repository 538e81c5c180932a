from rally_deploy.hosts.apt_sources import HostSources, parse_sources

SAID = """\
os debian bookworm
target http://mirror/debian/ bookworm main
target http://mirror/debian/ bookworm contrib
target http://mirror/debian/ bookworm-updates main
target http://security/debian-security/ bookworm-security main
target https://third.party/docker/ bookworm stable
target https://third.party/pg/ bookworm-pgdg main
target https://third.party/node/ nodistro main
setting Acquire::http::Proxy "http://proxy:3128";
"""


def test_sources_of_third_parties_are_left_out():
    assert parse_sources(SAID).lines_for("debian", "bookworm") == [
        "deb http://mirror/debian/ bookworm main contrib",
        "deb http://mirror/debian/ bookworm-updates main",
        "deb http://security/debian-security/ bookworm-security main",
    ]


def test_other_release_of_same_distribution_comes_from_same_mirror():
    assert parse_sources(SAID).lines_for("debian", "trixie")[:2] == [
        "deb http://mirror/debian/ trixie main contrib",
        "deb http://mirror/debian/ trixie-updates main",
    ]


def test_other_distribution_keeps_what_its_template_wrote():
    sources = parse_sources(SAID)
    assert sources.lines_for("ubuntu", "noble") == []
    assert sources.mirror("ubuntu") == sources.security_mirror("ubuntu") == ""


def test_mirrors_and_settings_are_the_hosts_own():
    sources = parse_sources(SAID)
    assert sources.mirror("debian") == "http://mirror/debian"
    assert sources.security_mirror("debian") == "http://security/debian-security"
    assert sources.settings == ('Acquire::http::Proxy "http://proxy:3128";',)


def test_host_without_apt_has_no_sources():
    assert parse_sources("os fedora \n") == HostSources("fedora", "")
