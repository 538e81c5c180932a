import json

import pytest

from rally_deploy.cli.plugin_commands import key_rows, type_text
from rally_deploy.config import Document, validate
from rally_deploy.plugins import Registry


def test_lists_name_alias_and_summary(rdeploy):
    for kind, name, alias in (
        ("engines", "ExistingCloud", "DummyEngine"),
        ("providers", "ExistingServers", "DummyProvider"),
    ):
        done = rdeploy(kind)
        [line] = [line for line in done.out.splitlines() if line.startswith(name)]
        assert alias in line
        assert {"name": name}.items() <= next(
            entry for entry in rdeploy(kind, "--json").json if entry["name"] == name
        ).items()


def test_plugin_that_cannot_be_imported_is_listed_and_hurts_no_other(rdeploy, monkeypatch):
    info = rdeploy.folder / "broken" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rally_deploy.engines]\nBrokenEngine = no_such_module:Engine\n"
    )
    monkeypatch.syspath_prepend(str(info.parent))
    done = rdeploy("engines")
    assert done.code == 0
    [line] = [line for line in done.out.splitlines() if line.startswith("BrokenEngine")]
    assert "BROKEN: ModuleNotFoundError" in line
    assert rdeploy("engines", "show", "FakeEngine").code == 0
    assert rdeploy("engines", "show", "BrokenEngine").code == 1


def test_show_tells_every_key_and_an_example_that_is_valid(rdeploy):
    done = rdeploy("engines", "show", "FakeEngine")
    rows, _, example = done.out.partition("\nExample:\n")
    keys = {line.split()[0] for line in rows.splitlines()[3:] if line}
    assert keys == {
        "type", "provider", "nodes", "command", "beforehand", "world", "delay_s", "refuse"}
    validate(Document(json.loads(example)), Registry(), {})


def test_unknown_plugin_names_the_nearest(rdeploy):
    done = rdeploy("providers", "show", "ExistingServer")
    assert done.code == 2
    assert "did you mean 'ExistingServers'?" in done.err


def test_rows_tell_nested_objects_once():
    host = {"type": "object", "required": ["host"], "properties": {
        "host": {"type": "string", "description": "where"},
        "user": {"type": "string", "default": "root"}, "port": {"type": "integer"},
        "key": {"type": "string"},
    }}
    rows = {row[0]: row[1:] for row in key_rows({"type": "object", "properties": {
        "hosts": {"type": "array", "items": host, "description": "all"},
        "gate": host, "provider": {"type": "object", "x-plugin": "provider"},
    }})}
    assert rows["hosts"] == ("list of object", "", "all")
    assert rows["hosts[].host"] == ("string", "required", "where")
    assert rows["hosts[].user"] == ("string", '"root"', "")
    assert rows["gate"][2] == "keys as of hosts[]"
    assert rows["provider"] == ("provider block", "", "")
    assert "gate.host" not in rows


@pytest.mark.parametrize(("schema", "text"), [
    ({"type": "string"}, "string"), ({"enum": ["a", 1]}, '"a" | 1'), ({}, "any"),
    ({"type": ["string", "null"]}, "string or null"),
    ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
     "string or list of integer"),
])
def test_type_is_told_in_words(schema, text):
    assert type_text(schema) == text
