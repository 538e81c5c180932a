"""Config in, local.conf out: each case is a file in local_conf/."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rally_deploy.config import normalize
from rally_deploy.engines.devstack import local_conf, schema
from rally_deploy.engines.devstack.local_conf_text import localrc_lines
from rally_deploy.engines.devstack.words import Word, as_word, word

CASES = sorted((Path(__file__).parent / "local_conf").glob("*.json"))

#: What DevStack has before it sources the localrc section, as far as the cases use it.
_DEVSTACK = """
DEST=/opt/stack
ENABLED_SERVICES=key,n-cpu
enable_plugin() { PLUGINS+="$*;"; }
disable_service() { ENABLED_SERVICES+=",-$1"; }
enable_service() { ENABLED_SERVICES+=",$1"; }
declare -A GITBRANCH
set -e
source ./localrc
"""


def rendered(case):
    config = normalize(case["config"], schema.CONFIG_SCHEMA)
    defaults = local_conf.standard_defaults(lambda name: name.replace("_password", "secret"))
    defaults.update(local_conf.compute_defaults(case.get("handed", {}), config["local_conf"]))
    return local_conf.render(config["local_conf"], defaults, git_base=config["git_base"])


def sourced(text, folder, *names):
    """The variables after bash has sourced the localrc section, as DevStack's stackrc does."""
    lines = [line for _, line in localrc_lines(text)]
    (folder / "localrc").write_text("\n".join(lines) + "\n")
    script = _DEVSTACK
    script += "".join(f'printf "%s\\0" "${{{name}-UNSET}}"\n' for name in names)
    shell = shutil.which("bash")
    assert shell, "these tests need bash"
    done = subprocess.run([shell, "-c", script], cwd=folder, capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""
    return dict(zip(names, done.stdout.split("\0"), strict=False))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_config_rendered_is_the_local_conf_of_its_case(path):
    case = json.loads(path.read_text())

    assert rendered(case).splitlines() == case["local.conf"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_config_of_a_case_validated_has_no_mistake(path):
    config = normalize(json.loads(path.read_text())["config"], schema.CONFIG_SCHEMA)

    assert list(schema.mistakes(config)) == []


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_localrc_sourced_by_bash_is_accepted(path, tmp_path):
    case = json.loads(path.read_text())

    found = sourced(rendered(case), tmp_path, "LOGFILE", "ADMIN_PASSWORD")

    assert found["LOGFILE"] in ("/opt/stack/logs/stack.sh.log", "/tmp/stack.log")
    assert found["ADMIN_PASSWORD"] not in ("", "UNSET")


def test_values_sourced_by_bash_are_what_was_meant(tmp_path):
    case = json.loads((CASES[0].parent / "kinds-of-values.json").read_text())

    found = sourced(
        rendered(case), tmp_path, "EXTRA", "QUOTED", "SINGLE", "LIST[1]", "DATA_DIR", "URL",
        "HASH", "ENABLE_KSM", "DOWNLOAD_DEFAULT_IMAGES", "RECLONE", 'GITBRANCH["nova"]',
    )

    assert found == {
        "EXTRA": "a b /opt/stack", "QUOTED": "a b", "SINGLE": "$5 each", "LIST[1]": "b c",
        "DATA_DIR": "/opt/stack/data", "URL": "http://h/?a=1&b=2", "HASH": "a#b",
        "ENABLE_KSM": "False", "DOWNLOAD_DEFAULT_IMAGES": "", "RECLONE": "UNSET",
        'GITBRANCH["nova"]': "refs/changes/1/2/3",
    }


def test_services_sourced_by_bash_are_added_to_the_defaults(tmp_path):
    text = local_conf.render({"ENABLED_SERVICES+": ",-n-cpu"}, {})

    assert sourced(text, tmp_path, "ENABLED_SERVICES") == {
        "ENABLED_SERVICES": "key,n-cpu,-n-cpu"}


def test_plugins_sourced_by_bash_are_enabled_in_order(tmp_path):
    text = local_conf.render({"ENABLE_PLUGIN": ["a git://h/a", "b git://h/b main"]}, {})

    assert sourced(text, tmp_path, "PLUGINS") == {"PLUGINS": "a git://h/a;b git://h/b main;"}


@pytest.mark.parametrize(("value", "kind"), [
    ("plain", Word.ONE), ("", Word.ONE), ("$DEST/x", Word.ONE), ("'a b'", Word.ONE),
    ('"a b"', Word.ONE), ('a"b c"d', Word.ONE), ("a\\ b", Word.ONE), ("$(a b)", Word.ONE),
    ("${A:-b c}", Word.ONE), ("`a b`", Word.ONE), ("(a b)", Word.ONE), ('("a b")', Word.ONE),
    ('"it\'s"', Word.ONE), ("$(echo ')')", Word.ONE), ("a b", Word.SPACED), ("a;b", Word.SPACED),
    ("a&b", Word.SPACED), ("a#b c", Word.SPACED), ('"a" b', Word.UNQUOTED),
    ("a\\b c", Word.UNQUOTED), ("it's", Word.UNCLOSED), ('"', Word.UNCLOSED),
    ("a\\", Word.UNCLOSED), ("$(a", Word.UNCLOSED), ("${a", Word.UNCLOSED), ("`a", Word.UNCLOSED),
    ("(a b", Word.UNCLOSED), ("('a b)", Word.UNCLOSED), ("(a;b)", Word.UNQUOTED),
    ("a\nb", Word.LINES), ("a\r", Word.LINES),
])
def test_word_of_value_is_as_bash_reads_it(value, kind):
    assert word(value) is kind


@pytest.mark.parametrize("value", ["a b", "a;b", "x&y|z", "a (b)", "a  b", "<a>", "a#b c"])
def test_spaced_value_in_bash_keeps_all_its_characters(value, tmp_path):
    text = f"V={as_word(value)}\n"

    assert sourced(text, tmp_path, "V") == {"V": value}


def test_value_from_run_time_with_two_lines_is_refused():
    with pytest.raises(local_conf.LocalConfBroken, match="CA: has more than one line"):
        local_conf.render({"CA": "a\nb"}, {})


def test_compute_defaults_without_controller_are_none():
    assert local_conf.compute_defaults({}) == {}


def test_variables_of_file_are_the_last_ones():
    text = "[[local|localrc]]\nA=1\nexport A=2\nB+=,x\n[[post-config|$X]]\nA=3\n"

    assert local_conf.variables(text) == {"A": "2", "B+": ",x"}
