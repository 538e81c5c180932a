from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rally_deploy.errors import Cancelled, CommandFailed, CommandTimeout
from rally_deploy.ssh import base
from rally_deploy.ssh.local import LocalShell
from tests.unit.ssh.fakes import LOCAL, Watcher


@pytest.fixture
def watcher() -> Watcher:
    return Watcher(["hunter2"])


@pytest.fixture
def shell(watcher: Watcher) -> LocalShell:
    return LocalShell(LOCAL, watcher)


def soon(true: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether it comes true."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether the process is dead or a zombie, soon."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_execute_both_streams_are_told_and_kept(shell: LocalShell, watcher: Watcher) -> None:
    result = shell.run(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (result.status, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert sorted(watcher.lines) == ["err", "out"]


def test_execute_lines_are_told_while_it_runs(shell: LocalShell, watcher: Watcher) -> None:
    seen: list[float] = []
    watcher.on_line = lambda line: seen.append(time.monotonic())
    shell.run(["sh", "-c", "echo one; sleep 0.5; echo two"])
    assert seen[1] - seen[0] > 0.3


def test_execute_quiet_tells_nothing(shell: LocalShell, watcher: Watcher) -> None:
    assert shell.run(["echo", "x"], quiet=True).stdout == "x\n"
    assert watcher.lines == []


def test_execute_ended_by_signal_has_the_shells_status(shell: LocalShell) -> None:
    assert shell.run(["sh", "-c", "kill -TERM $$"], check=False).status == 143


def test_execute_big_stdin_and_output_do_not_block(shell: LocalShell) -> None:
    data = b"0123456789abcde\n" * 200_000
    assert shell.run(["cat"], stdin=data, quiet=True).stdout.encode() == data


def test_execute_stdin_not_wanted_is_no_error(shell: LocalShell) -> None:
    assert shell.run(["true"], stdin=b"x" * 5_000_000).ok


def test_execute_daemon_left_behind_is_not_waited_for(shell: LocalShell) -> None:
    start = time.monotonic()
    result = shell.run(["sh", "-c", "sleep 4 & echo $!"])
    assert time.monotonic() - start < 2
    assert Path(f"/proc/{result.stdout.strip()}").exists()


def test_execute_timeout_ends_the_whole_group(shell: LocalShell, watcher: Watcher) -> None:
    with pytest.raises(CommandTimeout, match="within 0.5 s"):
        shell.run(["sh", "-c", "sleep 60 & echo $!; echo hunter2; wait"], timeout_s=0.5)
    assert gone(int(watcher.lines[0]))


def test_execute_timeout_secret_in_output_is_masked(shell: LocalShell) -> None:
    with pytest.raises(CommandTimeout) as caught:
        shell.run(["sh", "-c", "echo hunter2; sleep 60"], timeout_s=0.3)
    assert "hunter2" not in str(caught.value)


def test_execute_sigterm_ignored_is_killed(shell: LocalShell, watcher: Watcher) -> None:
    start = time.monotonic()
    with pytest.raises(CommandTimeout):
        shell.run(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 9; done"], timeout_s=0.3)
    assert gone(int(watcher.lines[0]))
    assert time.monotonic() - start < 4


def test_execute_cancelled_ends_it_soon(shell: LocalShell, watcher: Watcher) -> None:
    def cancel() -> None:
        watcher.error = Cancelled()

    threading.Timer(0.3, cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        shell.run(["sleep", "60"])
    assert time.monotonic() - start < 5


def test_execute_our_own_settings_stay_here(
    shell: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RDEPLOY_KEY", "the key of all secrets")
    assert "RDEPLOY_KEY" not in shell.run(["env"], quiet=True).stdout


def test_put_content_mode_and_folder_are_as_asked(shell: LocalShell, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "it's"
    shell.put(str(path), "content", mode=0o600)
    assert path.read_text() == shell.get(str(path)) == "content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert shell.exists(str(path))
    assert os.listdir(path.parent) == ["it's"]


def test_put_into_a_file_as_folder_leaves_nothing(shell: LocalShell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandFailed):
        shell.put(str(tmp_path / "file" / "x"), "content")
    assert os.listdir(tmp_path) == ["file"]


def test_put_of_which_only_a_part_comes_leaves_the_old_file(
    shell: LocalShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, execute = tmp_path / "file", LocalShell.execute
    shell.put(str(path), "old")
    monkeypatch.setattr(
        LocalShell, "execute",
        lambda self, command, stdin, *rest: execute(self, command, stdin[:5], *rest))
    with pytest.raises(CommandFailed, match="only a part came"):
        shell.put(str(path), "new content")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_script_a_failing_line_ends_it(shell: LocalShell, watcher: Watcher) -> None:
    with pytest.raises(CommandFailed):
        shell.script('echo "$1"\nfalse\necho never', "first")
    assert watcher.lines == ["first"]


def test_script_command_that_reads_stdin_does_not_eat_the_rest(shell: LocalShell) -> None:
    assert shell.script("cat\necho rest").stdout == "rest\n"


class TestLock:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base, "STATE_DIR", str(tmp_path / "state"))
        self.folder = tmp_path / "state"

    def test_run_same_lock_one_after_the_other(self, shell: LocalShell, tmp_path: Path) -> None:
        def one() -> None:
            text = 'mkdir "$0"; sleep 0.1; rmdir "$0"'
            shell.run(["sh", "-ec", text, str(tmp_path / "busy")], lock="a b")
            done.append(True)

        done: list[bool] = []
        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 6

    def test_run_with_lock_passes_status_and_stdin(self, shell: LocalShell) -> None:
        assert shell.run(["cat"], stdin="x", lock="l").stdout == "x"
        assert shell.run(["sh", "-c", "exit 9"], lock="l", check=False).status == 9

    def test_run_daemon_left_behind_does_not_keep_the_lock(self, shell: LocalShell) -> None:
        shell.run(["sh", "-c", "sleep 3 >/dev/null 2>&1 &"], lock="l")
        shell.wait_unlocked("l", timeout_s=0.5)
        assert shell.exists(str(self.folder / "locks" / "l.lock"))

    def test_wait_unlocked_held_lock_waits_for_its_end(
        self, shell: LocalShell, tmp_path: Path
    ) -> None:
        held, over = tmp_path / "held", tmp_path / "over"
        text = 'echo >"$0"; until [ -e "$1" ]; do sleep 0.05; done; sleep 0.3; echo >"$1.too"'
        thread = threading.Thread(
            target=lambda: shell.run(["sh", "-c", text, str(held), str(over)], lock="l"))
        thread.start()
        try:
            assert soon(held.exists)
            with pytest.raises(CommandTimeout, match="still worked on"):
                shell.wait_unlocked("l", timeout_s=0.1)
        finally:
            over.touch()
        shell.wait_unlocked("l")
        assert Path(f"{over}.too").exists()
        thread.join(5)
        assert not thread.is_alive()

    def test_remove_lock_removes_file_and_empty_folders(self, shell: LocalShell) -> None:
        shell.run(["true"], lock="l")
        shell.remove_lock("l")
        shell.remove_lock("l")
        assert not self.folder.exists()

    def test_remove_lock_while_others_wait_lets_only_one_run(
        self, shell: LocalShell, tmp_path: Path
    ) -> None:
        failed: list[Exception] = []

        def one() -> None:
            text = 'mkdir "$0"; sleep 0.02; rmdir "$0"'
            try:
                for _ in range(8):
                    shell.run(["sh", "-ec", text, str(tmp_path / "busy")], lock="l")
                    shell.remove_lock("l")
            except CommandFailed as error:
                failed.append(error)

        threads = [threading.Thread(target=one) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []

    def test_cancelled_holder_gives_the_lock_back(
        self, shell: LocalShell, watcher: Watcher
    ) -> None:
        with pytest.raises(CommandTimeout):
            shell.run(["sleep", "60"], lock="l", timeout_s=0.3)
        shell.wait_unlocked("l", timeout_s=0.2)
        assert watcher.lines == []
