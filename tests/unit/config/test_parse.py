import io
import json
import os
import subprocess
import sys

import pytest

from rally_deploy import config
from rally_deploy.config.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, parse_path
from rally_deploy.errors import ConfigError
from rally_deploy.plugins import Registry


def message_of(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    return caught.value.problems[0].message


def test_json_comments_and_trailing_commas_are_skipped():
    text = """
    /* of the 2014 docs */
    {
        "a": [1, 2, ], // here
        "b": "http://not/a comment", /* and
        here */ "c": {"d": null,},
    }
    """
    assert config.parse(text, "x.json").data == {
        "a": [1, 2], "b": "http://not/a comment", "c": {"d": None},
    }


def test_json_values_are_those_of_the_json_module():
    text = (
        r'{"s": "\u00e9\n\"\\ \ud83d\ude00", "i": -12, "f": 1.5e-3, "t": true, "n": null, "z": 0}'
    )
    data = config.parse(text, "x.json").data
    assert data == json.loads(text)
    assert [type(value) for value in data.values()] == [str, int, float, bool, type(None), int]


def test_positions_are_those_of_values_and_keys():
    document = config.parse('{\n  "a": {"b": [1,\n   "x"]}\n}', "x.json")
    assert document.position(()) == (1, 1)
    assert document.position(("a",)) == (2, 8)
    assert document.position(("a",), key=True) == (2, 3)
    assert document.position(("a", "b", 1)) == (3, 4)
    assert document.position(("a", "b", 7, "c")) == (2, 14)


def test_yaml_positions_are_those_of_values_and_keys():
    document = config.parse("a:\n  b: [1,\n   x]\n", "x.yml")
    assert document.data == {"a": {"b": [1, "x"]}}
    assert document.position(("a", "b", 1)) == (3, 4)
    assert document.position(("a", "b"), key=True) == (2, 3)


def test_yaml_plain_words_are_what_people_mean():
    text = (
        "a: yes\nb: 0755\nc: 2014-06-01\nd: 1:30\ne: ~\nf: true\ng: 12\nh: 1.5\ni: '12'\n"
        "j: 0x1f\n22.04: k\nl: !!str 5\nm:\n"
    )
    assert config.parse(text, "x.yaml").data == {
        "a": "yes", "b": "0755", "c": "2014-06-01", "d": "1:30", "e": None, "f": True, "g": 12,
        "h": 1.5, "i": "12", "j": 31, "22.04": "k", "l": "5", "m": None,
    }


def test_yaml_merge_goes_under_the_own_keys():
    text = "base: &b {x: 1, y: 2}\nother: {y: 3, <<: *b}\nlist: {<<: [*b, {z: 4}]}\n"
    data = config.parse(text, "x.yaml").data
    assert data["other"] == {"y": 3, "x": 1}
    assert data["list"] == {"x": 1, "y": 2, "z": 4}


def test_yaml_alias_bomb_is_refused_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than" in message_of(config.parse, "\n".join(lines), "x.yaml")


def test_yaml_merge_bomb_is_refused_quickly():
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert "more than" in message_of(config.parse, "\n".join(lines), "x.yaml")


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 50_000])
def test_deep_nesting_is_refused(ending, depth):
    text = '{"a": ' + "[" * depth + "]" * depth + "}"
    assert "nested deeper" in message_of(config.parse, text, f"x.{ending}")


def test_too_many_values_are_refused():
    text = "[" + "1," * (MAX_NODES + 1) + "1]"
    assert "more than" in message_of(config.parse, text, "x.json")


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("x.json", '{"a": 1}', {"a": 1}),
        ("x.JSON", '{"a": 1}', {"a": 1}),
        ("x.yaml", "{a: yes}", {"a": "yes"}),
        ("<stdin>", ' // c\n{"a": 1}', {"a": 1}),
        ("<stdin>", "/* c */ {}", {}),
        ("config.sample", "a: 1", {"a": 1}),
        ("x.conf", "# a\n- 1", [1]),
    ],
)
def test_format_is_told_by_ending_else_by_look(source, text, expected):
    assert config.parse(text, source).data == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b" \n ", "the file is empty"),
        (b'{"a": "\xff"}', "the byte 0xff is no UTF-8"),
        (b"{}\x00", "a NUL character: this is no text file"),
        ("{}".encode("utf-16"), "the file is UTF-16"),
        ("{}".encode("utf-32"), "the file is UTF-32"),
        (b"{" + b" " * MAX_BYTES + b"}", "the file is larger than 8 MiB"),
    ],
)
def test_file_that_is_no_config_text_is_told(tmp_path, content, expected):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert message_of(config.load, path) == expected


def test_invalid_byte_is_placed(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes('{\n "é": "'.encode() + b"\xe9" + b'"}')
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.column) == (str(path), 2, 8)


def test_utf8_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    document = config.load(path)
    assert document.data == {"a": 1}
    assert document.position(("a",)) == (1, 7)


def test_missing_file_is_told(tmp_path):
    assert message_of(config.load, tmp_path / "no.json") == "there is no such file"


def test_folder_is_told(tmp_path):
    assert message_of(config.load, tmp_path) == "this is a folder, not a file"


def test_odd_file_names_are_told():
    assert "NUL" in message_of(config.load, "a\0b")
    assert "cannot be read" in message_of(config.load, "x" * 5000)


def test_unreadable_file_is_told(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the refusal has to be made.
    monkeypatch.setattr("builtins.open", refuse)
    assert "must not be read" in message_of(config.load, tmp_path / "x.json")


def test_dash_reads_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    document = config.load("-")
    assert (document.data, document.source) == ({"a": 1}, "<stdin>")


def test_variables_are_put_in_literally():
    text = r'{"a": "${var:x}-${var:y}", "b": ["${var:x}"], "c": "$x {x} ${x}"}'
    document = config.parse(text, "x.json", {"x": r"\1${var:y}", "y": "2"})
    assert document.data == {
        "a": r"\1${var:y}-2", "b": [r"\1${var:y}"], "c": "$x {x} ${x}",
    }


def test_all_undefined_variables_are_told_at_their_places():
    with pytest.raises(ConfigError) as caught:
        config.parse('{"a": "${var:x}",\n "b": "${var:y} ${var:}"}', "x.json")
    assert [(p.path, p.line) for p in caught.value.problems] == [("a", 1), ("b", 2), ("b", 2)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("controller", "provider", "credentials", 0, "host"),
         "controller.provider.credentials[0].host"),
        ((0, "a"), "[0].a"),
        (("a b", "c"), '["a b"].c'),
        (("a", "[[post-config|$NOVA_CONF]]"), 'a["[[post-config|$NOVA_CONF]]"]'),
        (('q"\\',), '["q\\"\\\\"]'),
    ],
)
def test_path_text_and_back(path, text):
    assert config.path_text(path) == text
    assert parse_path(text) == path


def test_control_characters_never_reach_a_terminal():
    with pytest.raises(ConfigError) as caught:
        config.parse('{"\\u001b[2J": 1, "\\u001b[2J": 2, "b\\u202e" 1}', "x.json")
    assert all(char.isprintable() or char == "\n" for char in str(caught.value))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["${env:", "${var:", "a:", "'", "{", "//", "/*", "\\\\", "@"])
def test_long_text_of_odd_characters_is_read_in_time(unit):
    text = json.dumps({"type": "ExistingServers", "credentials": [unit * 300_000]})
    with pytest.raises(ConfigError):
        config.validate(config.parse(text, "x.json"), Registry(), {}, "provider")


@pytest.mark.timeout(30)
def test_object_of_unknown_keys_is_read_in_time():
    text = json.dumps({"type": "ExistingServers", **{f"key{n}": n for n in range(20_000)}})
    with pytest.raises(ConfigError) as caught:
        config.validate(config.parse(text, "x.json"), Registry(), {}, "provider")
    assert len(caught.value.problems) == 20_001


def test_importing_config_is_cheap():
    code = (
        "import sys, rally_deploy.config, rally_deploy.plugins;"
        "print([m for m in ('yaml', 'jsonschema', 'importlib.metadata') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.strip() == "[]"
