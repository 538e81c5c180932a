from __future__ import annotations

import pytest

from rally_deploy.errors import AuthenticationFailed, CommandFailed, NoSpace
from rally_deploy.model import Server
from tests.unit.ssh.fakes import ScriptedShell, Watcher

ROOT = Server(host="192.0.2.1")
USER = Server(host="192.0.2.1", user="ubuntu", become=True)


def test_run_words_with_special_characters_are_quoted_once() -> None:
    shell = ScriptedShell(ROOT)
    shell.run(["echo", "it's $HOME", "a;b"], env={"KEY": "x y"})
    assert shell.commands == ["""env 'KEY=x y' echo 'it'"'"'s $HOME' 'a;b'"""]


def test_run_user_given_runs_as_that_user() -> None:
    shell = ScriptedShell(ROOT)
    shell.run(["id"], user="stack")
    assert shell.commands == ["env -C / runuser -u stack -- id"]


def test_run_status_not_zero_raises_with_output() -> None:
    shell = ScriptedShell(ROOT, lambda *_: (3, "out", "bad thing"))
    with pytest.raises(CommandFailed) as caught:
        shell.run(["false"])
    assert caught.value.status == 3
    assert "192.0.2.1: 'false' ended with status 3" in str(caught.value)
    assert "bad thing" in str(caught.value)


def test_run_unchecked_returns_the_status() -> None:
    assert ScriptedShell(ROOT, lambda *_: (3, "", "")).run(["false"], check=False).status == 3


def test_run_disk_full_raises_no_space_with_remedy() -> None:
    shell = ScriptedShell(ROOT, lambda *_: (1, "", "cat: write: No space left on device"))
    with pytest.raises(NoSpace) as caught:
        shell.put("/tmp/x", "y")
    assert "free some space" in caught.value.remedy


def test_failure_secret_in_command_and_output_is_masked() -> None:
    shell = ScriptedShell(ROOT, lambda *_: (1, "", "no hunter2 here"), Watcher(["hunter2"]))
    with pytest.raises(CommandFailed) as caught:
        shell.run(["login", "hunter2"])
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caught.value.stderr


def test_script_text_is_sent_by_stdin_only() -> None:
    shell = ScriptedShell(ROOT)
    shell.script("echo secret", "one")
    assert shell.commands == ["sh -s -- one"]
    assert b"echo secret" in shell.stdins[0]


def test_observed_by_other_observer_leaves_the_first_alone() -> None:
    shell = ScriptedShell(ROOT)
    other = Watcher()
    view = shell.observed_by(other)
    assert view.observer is other
    assert shell.observer is not other


def test_become_root_user_runs_without_sudo() -> None:
    shell = ScriptedShell(Server(host="h", become=True))
    shell.run(["id"])
    assert shell.commands == ["id"]


def test_become_sudo_without_password_is_asked_once() -> None:
    shell = ScriptedShell(USER)
    shell.run(["id"])
    shell.observed_by(Watcher()).run(["true"])
    assert shell.commands == ["sudo -n -- true", "sudo -n -- id", "sudo -n -- true"]


def test_become_password_needed_goes_by_stdin_before_the_commands_own() -> None:
    def answer(command: str, stdin: bytes) -> tuple[int, str, str]:
        return (1, "", "a password is required") if command.startswith("sudo -n") else (0, "", "")

    server = Server(host="h", user="ubuntu", become=True, password="hunter2")
    shell = ScriptedShell(server, answer)
    shell.run(["cat"], stdin="own input")
    assert all("hunter2" not in command for command in shell.commands)
    assert shell.stdins[-1].startswith(b"hunter2\n")
    assert shell.stdins[-1].endswith(b"\nown input")


def test_become_password_needed_but_absent_raises_with_remedy() -> None:
    shell = ScriptedShell(USER, lambda *_: (1, "", "a password is required"))
    with pytest.raises(AuthenticationFailed, match="sudo wants a password") as caught:
        shell.run(["id"])
    assert "NOPASSWD" in caught.value.remedy


def test_become_no_sudo_there_says_so() -> None:
    shell = ScriptedShell(USER, lambda *_: (127, "", "not found"))
    with pytest.raises(AuthenticationFailed, match="there is no sudo"):
        shell.run(["id"])


def test_become_wrong_password_raises() -> None:
    server = Server(host="h", user="ubuntu", become=True, password="wrong")
    shell = ScriptedShell(server, lambda *_: (1, "", "incorrect password attempts"))
    with pytest.raises(AuthenticationFailed, match="does not let user ubuntu become root"):
        shell.run(["id"])
