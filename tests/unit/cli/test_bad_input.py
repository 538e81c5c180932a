"""Whatever stands on the command line or in a file: an exit code and a text, never a traceback."""

import contextlib
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rally_deploy import paths
from rally_deploy.cli.ending import run
from rally_deploy.cli.group import COMMANDS

_TEXT = st.text(max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["type", "provider", "engine", "credentials", "world", "host"]) | _TEXT,
        inner | st.sampled_from(["FakeEngine", "FakeProvider", "ExistingCloud", "LxcProvider"]),
        max_size=4,
    ),
    max_leaves=12,
)
_QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def outcome(*arguments):
    """(exit code, all that was said) of one run."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(arguments)
    said.flush()
    return code, said.buffer.getvalue().decode(errors="replace")


def assert_no_bug(*arguments):
    code, said = outcome(*arguments)
    assert code in (0, 1, 2, 4), said
    assert "Traceback" not in said
    assert not list(paths.data_dir().glob("error-*")), said
    return code


@given(tree=_JSON)
@_QUICK
def test_any_json_is_validated_without_a_traceback(rdeploy, tree):
    path = rdeploy.folder / "any.json"
    path.write_text(json.dumps(tree))
    assert assert_no_bug("validate", str(path)) in (0, 2)
    assert assert_no_bug("plan", str(path)) in (0, 2)


@given(content=st.binary(max_size=200))
@_QUICK
def test_any_bytes_are_validated_without_a_traceback(rdeploy, content):
    path = rdeploy.folder / "any.yaml"
    path.write_bytes(content)
    assert assert_no_bug("validate", str(path)) in (0, 2)


@given(words=st.lists(_TEXT, max_size=3),
       name=st.sampled_from([name for name in COMMANDS if name not in ("sweep", "images", "ssh")]))
@_QUICK
def test_any_words_are_taken_without_a_traceback(rdeploy, name, words):
    assert_no_bug(name, *words)


@pytest.mark.parametrize("path", ["/", "/dev/null", "no\0file", "/proc/self/mem"])
def test_file_that_is_none_is_a_clear_error(rdeploy, path):
    assert assert_no_bug("create", "--file", path) == 2
