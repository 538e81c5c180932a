import stat
import subprocess
import sys

import pytest

from rally_deploy import paths
from rally_deploy.cli.commands import list as list_command
from rally_deploy.cli.ending import run
from rally_deploy.errors import (
    Cancelled,
    ConfigError,
    DeploymentHeld,
    NoSuchDeployment,
    Problem,
    RallyDeployError,
)


@pytest.fixture
def failing(rdeploy, monkeypatch):
    """``rdeploy list`` raises what a test wants."""

    def fail(error, *options):
        def callback(*_, **__):
            raise error

        monkeypatch.setattr(list_command.command, "callback", callback)
        return rdeploy(*options, "list")

    return fail


@pytest.mark.parametrize(("error", "code"), [
    (RallyDeployError("it failed"), 1),
    (ConfigError([Problem("a.b", "is wrong")]), 2),
    (Cancelled(), 3),
    (NoSuchDeployment("x"), 4),
    (DeploymentHeld("x", "somebody"), 5),
    (KeyboardInterrupt(), 3),
])
def test_error_gives_its_exit_code(failing, error, code):
    assert failing(error).code == code


def test_error_is_told_with_details_and_remedy(failing):
    done = failing(RallyDeployError("it failed", "line 1\nline 2", "try that"))
    assert done.out == ""
    assert done.err == "it failed\n  line 1\n  line 2\nTry: try that\n"


def test_unforeseen_error_leaves_its_traceback_in_a_private_file(failing):
    done = failing(ZeroDivisionError("secret thing"))
    assert done.code == 1
    [file] = paths.data_dir().glob("error-*.txt")
    assert done.err == f"internal error: ZeroDivisionError, its traceback is in {file}\n"
    assert "ZeroDivisionError: secret thing" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_debug_shows_the_traceback(failing):
    done = failing(ZeroDivisionError("oh"), "--debug")
    assert "Traceback" in done.err
    assert "ZeroDivisionError: oh" in done.err


def test_wrong_option_is_a_usage_error_without_traceback(rdeploy):
    done = rdeploy("list", "--nonsense")
    assert done.code == 2
    assert "No such option: --nonsense" in done.err or "No such option '--nonsense'" in done.err


def test_reader_that_is_gone_is_no_complaint(rdeploy):
    rdeploy("list")
    process = subprocess.Popen(
        [sys.executable, "-m", "rally_deploy", "list", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(20) in (0, 1)


def test_colour_only_where_a_terminal_is(failing):
    assert "\x1b" not in failing(RallyDeployError("it failed")).err


def test_unknown_deployment_is_exit_code_4(rdeploy):
    done = rdeploy("show", "nothing-like-it")
    assert done.code == 4
    assert done.err == (
        "no deployment 'nothing-like-it'\nTry: 'rdeploy list --all' shows all of them\n"
    )


def test_database_that_cannot_be_had_is_a_clear_error(tmp_path, capsys):
    assert run(["--db", f"sqlite:///{tmp_path}/no/such/folder/x.db", "list"]) == 1
    assert "Traceback" not in capsys.readouterr().err
