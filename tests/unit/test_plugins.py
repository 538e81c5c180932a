import sys

import pytest

from rally_deploy.engines.existing import ExistingCloud
from rally_deploy.errors import PluginBroken, UnknownPlugin
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.existing import ExistingServers

GOOD = '''
from rally_deploy.serverprovider.base import ServerProvider

class MoonProvider(ServerProvider):
    """Servers on the moon."""

    CONFIG_SCHEMA = {"type": "object", "properties": {"type": {"type": "string"}}}

    def create_servers(self, image_uuid=None, type_id=None, amount=None):
        return []
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module: what pip leaves, in a folder on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)

    def install(name, source, providers="", engines=""):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[rally_deploy.providers]\n{providers}\n[rally_deploy.engines]\n{engines}\n"
        )

    yield install
    for name in set(sys.modules) - modules:
        if name.startswith("moon"):
            del sys.modules[name]


def entry_of(entries, name):
    return next(entry for entry in entries if entry[0] == name)


def test_own_plugins_are_found_by_name():
    assert Registry().engine("ExistingCloud") is ExistingCloud
    assert Registry().provider("ExistingServers") is ExistingServers


def test_rallys_old_names_are_aliases():
    assert Registry().engine("DummyEngine") is ExistingCloud
    assert Registry().provider("DummyProvider") is ExistingServers
    assert entry_of(Registry().providers(), "ExistingServers") == (
        "ExistingServers", ("DummyProvider",), ExistingServers.__doc__.strip(), "",
    )


def test_plugin_of_another_distribution_is_found(install):
    install("moon_good", GOOD, "MoonProvider = moon_good:MoonProvider")
    found = Registry().provider("MoonProvider")
    assert found.__module__ == "moon_good"
    assert entry_of(Registry().providers(), "MoonProvider") == (
        "MoonProvider", (), "Servers on the moon.", "",
    )


def test_plugin_is_imported_only_when_asked_for(install):
    install("moon_lazy", GOOD, "MoonProvider = moon_lazy:MoonProvider")
    registry = Registry()
    registry.provider("ExistingServers")
    assert "moon_lazy" not in sys.modules
    registry.provider("MoonProvider")
    assert "moon_lazy" in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError"),
        ("", "AttributeError"),
        ("MoonProvider = 3", "is not a ServerProvider"),
        ("class MoonProvider: CONFIG_SCHEMA = {}", "is not a ServerProvider"),
        (GOOD.replace("CONFIG_SCHEMA", "OTHER"), "has no CONFIG_SCHEMA"),
        (GOOD.replace("def create_servers", "def other"), "has no create_servers"),
    ],
)
def test_broken_plugin_is_listed_with_its_reason_and_hurts_no_other(install, source, reason):
    install("moon_broken", source, "MoonProvider = moon_broken:MoonProvider")
    registry = Registry()
    name, _, summary, broken = entry_of(registry.providers(), "MoonProvider")
    assert (name, summary) == ("MoonProvider", "")
    assert reason in broken
    with pytest.raises(PluginBroken, match="MoonProvider of moon_broken is broken"):
        registry.provider("MoonProvider")
    assert registry.provider("ExistingServers") is ExistingServers


def test_engine_among_the_providers_is_broken(install):
    install("moon_engine", "", "Wrong = rally_deploy.engines.existing:ExistingCloud")
    with pytest.raises(PluginBroken):
        Registry().provider("Wrong")


@pytest.mark.parametrize("name", ["ExistingServers", "DummyProvider"])
def test_name_of_ours_taken_by_another_stays_ours_and_is_listed(install, name):
    install("moon_thief", GOOD, f"{name} = moon_thief:MoonProvider")
    registry = Registry()
    assert registry.provider(name) is ExistingServers
    *_, broken = entry_of(registry.providers(), f"{name} (moon_thief)")
    assert broken == "rally_deploy has a plugin of this name, which is taken"


def test_name_of_two_others_goes_to_the_first_distribution(install):
    install("moon_b", GOOD, "MoonProvider = moon_b:MoonProvider")
    install("moon_a", GOOD, "MoonProvider = moon_a:MoonProvider")
    registry = Registry()
    assert registry.provider("MoonProvider").__module__ == "moon_a"
    assert entry_of(registry.providers(), "MoonProvider (moon_b)")[3].startswith("moon_a has")


def test_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(UnknownPlugin) as caught:
        Registry().provider("ExistingServer")
    assert caught.value.brief == "there is no provider 'ExistingServer'"
    assert "did you mean 'ExistingServers'?" in caught.value.remedy
    assert "LxcProvider" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_name_of_the_other_kind_is_told():
    with pytest.raises(UnknownPlugin, match="'ExistingServers' is a provider, not an engine"):
        Registry().engine("ExistingServers")


@pytest.mark.parametrize("name", ["", "x" * 10_000, "\x1b[2J", "a/../b", "é"])
def test_odd_names_are_unknown(name):
    with pytest.raises(UnknownPlugin) as caught:
        Registry().engine(name)
    assert len(caught.value.brief) < 200
    assert caught.value.brief.isprintable()
