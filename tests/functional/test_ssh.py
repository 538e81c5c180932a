"""SSH against real sshd: what goes well, and everything that can go wrong on the way."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rally_deploy.errors import (
    AuthenticationFailed,
    Cancelled,
    CommandTimeout,
    ConnectionLost,
    HostKeyMismatch,
    NoSpace,
    Unreachable,
)
from rally_deploy.model import Server
from rally_deploy.ssh import Pool, detached, wire
from rally_deploy.ssh.base import Shell
from tests.functional.sshd_hosts import SshdHost, SshdHosts, sh, silent_listener, why_not
from tests.unit.ssh.fakes import PinnedKeys, Watcher
from tests.unit.ssh.test_local import gone

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(bool(why_not()), reason=f"no sshd hosts can be made here: {why_not()}"),
]

USER, PASSWORD = "rdtuser", "pass: it's \"quoted\" $HOME"


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[SshdHost]]:
    with SshdHosts(3) as made:
        yield made
    # It goes by itself after a while, but not if its host goes before.
    Path("/run/rdeploy/rdt-job.ended").unlink(missing_ok=True)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher([PASSWORD])


@pytest.fixture
def keys() -> PinnedKeys:
    return PinnedKeys()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def shell(hosts: list[SshdHost], pool: Pool, watcher: Watcher, keys: PinnedKeys) -> Shell:
    return pool.get(hosts[0].server, watcher, keys)


@pytest.fixture
def opened(pool: Pool, watcher: Watcher, keys: PinnedKeys) -> Callable[[Server], Shell]:
    return lambda server: pool.get(server, watcher, keys)


@pytest.fixture
def hasty(watcher: Watcher, keys: PinnedKeys) -> Callable[[Server], Shell]:
    """For servers that never answer."""
    pool = Pool(connect_timeout_s=1.5)
    return lambda server: pool.get(server, watcher, keys)


def logins(host: SshdHost) -> int:
    """How many logins sshd has taken so far."""
    return (host.folder / "sshd.log").read_text().count("Accepted ")


def test_run_output_status_and_lines_are_those_of_the_command(
    shell: Shell, watcher: Watcher
) -> None:
    result = shell.run(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (result.status, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert sorted(watcher.lines) == ["err", "out"]


def test_run_command_is_on_the_host(shell: Shell, hosts: list[SshdHost]) -> None:
    assert hosts[0].address in shell.run(["ip", "-br", "address"]).stdout


def test_run_ended_by_signal_has_the_shells_status(shell: Shell) -> None:
    assert shell.run(["sh", "-c", "kill -KILL $$"], check=False).status == 137


def test_run_lines_are_told_while_it_runs(shell: Shell, watcher: Watcher) -> None:
    seen: list[float] = []
    watcher.on_line = lambda line: seen.append(time.monotonic())
    shell.run(["sh", "-c", "echo one; sleep 0.5; echo two"])
    assert seen[1] - seen[0] > 0.3


def test_run_daemon_left_behind_is_not_waited_for(shell: Shell) -> None:
    start = time.monotonic()
    assert shell.run(["sh", "-c", "sleep 5 & echo hi"]).stdout == "hi\n"
    assert time.monotonic() - start < 3


def test_put_50_megabytes_arrive_and_come_back(shell: Shell, hosts: list[SshdHost]) -> None:
    path = hosts[0].folder / "big"
    content = os.urandom(1 << 20).hex()[: 1 << 20] * 50
    shell.put(str(path), content, mode=0o600)
    assert path.read_text() == content
    assert shell.get(str(path)) == content


def test_run_big_stdin_and_output_at_once_do_not_block(shell: Shell) -> None:
    data = b"0123456789abcde\n" * 1_000_000
    assert shell.run(["cat"], stdin=data, quiet=True).stdout.encode() == data


def test_run_by_50_threads_at_once_logs_in_once(
    hosts: list[SshdHost], pool: Pool, keys: PinnedKeys
) -> None:
    before = logins(hosts[1])

    def one(number: int) -> str:
        return pool.get(hosts[1].server, Watcher(), keys).run(["echo", str(number)]).stdout

    with ThreadPoolExecutor(50) as threads:
        results = list(threads.map(one, range(50)))
    assert results == [f"{number}\n" for number in range(50)]
    assert logins(hosts[1]) - before == 1


def test_run_more_at_once_than_sshd_allows_sessions_waits(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    with SshdHosts(1, extra="MaxSessions 3") as made:
        shell = opened(made[0].server)
        with ThreadPoolExecutor(12) as threads:
            results = list(threads.map(lambda n: shell.run(["sleep", "0.2"]).ok, range(12)))
    assert results == [True] * 12


def test_jump_over_two_hosts_reaches_the_third(
    hosts: list[SshdHost], opened: Callable[[Server], Shell], keys: PinnedKeys
) -> None:
    first, second, third = (host.server for host in hosts)
    server = replace(third, jump=replace(second, jump=first))
    assert third.host in opened(server).run(["ip", "-br", "address"]).stdout
    assert list(keys) == [
        f"{first.host}:22", f"{first.host}:22>{second.host}:22",
        f"{first.host}:22>{second.host}:22>{third.host}:22",
    ]


def test_jump_to_a_port_that_refuses_names_both(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    server = replace(hosts[1].server, port=9, jump=hosts[0].server)
    with pytest.raises(Unreachable, match=f"{hosts[0].name} cannot connect to") as caught:
        opened(server).run(["true"])
    assert "refused" in caught.value.details


def test_host_key_changed_names_both_fingerprints_and_sends_no_password(
    hosts: list[SshdHost], opened: Callable[[Server], Shell], pool: Pool
) -> None:
    server = replace(hosts[2].server, key=None, password=PASSWORD)
    with contextlib.suppress(AuthenticationFailed):
        opened(server).run(["true"])
    pool.close()
    hosts[2].new_host_key()
    before = (hosts[2].folder / "sshd.log").read_text().count("Failed password")
    with pytest.raises(HostKeyMismatch) as caught:
        opened(server).run(["true"])
    assert caught.value.details.count("SHA256:") == 2
    assert "destroy" in caught.value.remedy
    assert (hosts[2].folder / "sshd.log").read_text().count("Failed password") == before


def test_known_hosts_demanded_only_a_known_host_is_taken(
    hosts: list[SshdHost], watcher: Watcher, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    public = (hosts[0].folder / "host_key.pub").read_text()
    file.write_text(f"{hosts[0].address} {public}")
    pool = Pool(known_hosts=str(file))
    try:
        assert pool.get(hosts[0].server, watcher, PinnedKeys()).run(["true"]).ok
        with pytest.raises(HostKeyMismatch, match="does not know it"):
            pool.get(hosts[1].server, watcher, PinnedKeys()).run(["true"])
    finally:
        pool.close()


def test_login_key_as_text_is_taken(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    server = replace(hosts[0].server, key=None, private_key=hosts[0].key.read_text())
    assert opened(server).run(["true"]).ok


def test_login_wrong_password_says_what_was_tried(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    with pytest.raises(AuthenticationFailed, match="user root cannot log in") as caught:
        opened(replace(hosts[0].server, key=None, password="wrong")).run(["true"])
    assert "password" in caught.value.details
    assert "wrong" not in str(caught.value)


def test_login_neither_key_nor_password_uses_the_users_agent(
    hosts: list[SshdHost], opened: Callable[[Server], Shell], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        sh("ssh-add", "-q", str(hosts[0].key))
        assert opened(replace(hosts[0].server, key=None)).run(["true"]).ok
    finally:
        agent.terminate()
        agent.wait()


def test_unreachable_port_refused_says_so(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    with pytest.raises(Unreachable, match="refuses connections") as caught:
        opened(replace(hosts[0].server, port=9)).run(["true"])
    assert "start sshd" in caught.value.remedy


def test_unreachable_no_route_says_so(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    sh("ip", "route", "add", "unreachable", "198.18.77.77")
    try:
        with pytest.raises(Unreachable, match="no route"):
            opened(Server(host="198.18.77.77", key=str(hosts[0].key))).run(["true"])
    finally:
        sh("ip", "route", "delete", "unreachable", "198.18.77.77")


def test_unreachable_name_not_found_says_so(opened: Callable[[Server], Shell]) -> None:
    with pytest.raises(Unreachable, match="is not found"):
        opened(Server(host="no-such-host.invalid", password="x")).run(["true"])


def test_unreachable_black_hole_says_no_answer_in_time(
    hosts: list[SshdHost], hasty: Callable[[Server], Shell]
) -> None:
    inside = ("ip", "netns", "exec", hosts[0].namespace, "iptables")
    rule = ("INPUT", "-p", "tcp", "--dport", "24", "-j", "DROP")
    sh(*inside, "-A", *rule)
    start = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="no answer from .* within 1.5 s"):
            hasty(replace(hosts[0].server, port=24)).run(["true"])
    finally:
        sh(*inside, "-D", *rule)
    assert time.monotonic() - start < 4


def test_unreachable_listener_without_banner_says_so(hasty: Callable[[Server], Shell]) -> None:
    with silent_listener() as port, pytest.raises(Unreachable, match="said nothing for 1.5 s"):
        hasty(Server(host="127.0.0.1", port=port, password="x")).run(["true"])


def test_cancel_while_connecting_ends_it_soon(watcher: Watcher) -> None:
    def cancel() -> None:
        watcher.error = Cancelled()

    with silent_listener() as port:
        shell = Pool(30).get(Server(host="127.0.0.1", port=port), watcher, PinnedKeys())
        threading.Timer(0.3, cancel).start()
        start = time.monotonic()
        with pytest.raises(Cancelled):
            shell.run(["true"])
    assert time.monotonic() - start < 5


def test_cancel_command_ends_soon_here_and_there(
    shell: Shell, watcher: Watcher
) -> None:
    def cancel() -> None:
        watcher.error = Cancelled()

    watcher.on_line = lambda line: threading.Timer(0.2, cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        shell.run(["sh", "-c", "sleep 60 & echo $!; wait"])
    assert time.monotonic() - start < 5
    assert gone(int(watcher.lines[0]))


def test_timeout_ends_the_command_there_even_if_it_ignores_sigterm(
    shell: Shell, watcher: Watcher
) -> None:
    with pytest.raises(CommandTimeout, match="within 0.5 s"):
        shell.run(
            ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 9; done"], timeout_s=0.5
        )
    assert gone(int(watcher.lines[0]))
    assert shell.run(["echo", "fine"]).stdout == "fine\n"


def test_timeout_leaves_a_daemon_and_other_commands_alone(
    shell: Shell, watcher: Watcher
) -> None:
    daemon = "setsid sleep 8 >/dev/null 2>&1 </dev/null & echo $!"
    other = ThreadPoolExecutor(1).submit(shell.run, ["sleep", "1.5"])
    with pytest.raises(CommandTimeout):
        shell.run(["sh", "-c", f"({daemon}); sleep 60"], timeout_s=0.5)
    assert other.result().ok
    assert not gone(int(watcher.lines[0]), 0.1)


def test_link_dropped_in_mid_command_is_lost_and_the_next_reconnects(
    shell: Shell, hosts: list[SshdHost], watcher: Watcher
) -> None:
    watcher.on_line = lambda line: hosts[0].drop_logins()
    start = time.monotonic()
    with pytest.raises(ConnectionLost, match="in the middle of a command") as caught:
        shell.run(["sh", "-c", "echo begun; sleep 20"])
    assert time.monotonic() - start < 5
    assert "resume" in caught.value.remedy
    watcher.on_line = None
    assert shell.run(["echo", "back"]).stdout == "back\n"


def test_link_gone_silent_in_mid_command_is_lost(
    hosts: list[SshdHost], opened: Callable[[Server], Shell], watcher: Watcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "KEEPALIVE_S", 1)
    shell = opened(replace(hosts[2].server, jump=hosts[1].server))
    inside = ("ip", "netns", "exec", hosts[2].namespace, "iptables")
    watcher.on_line = lambda line: print(sh(*inside, "-A", "INPUT", "-j", "DROP"))
    start = time.monotonic()
    try:
        with pytest.raises(ConnectionLost):
            shell.run(["sh", "-c", "echo begun; sleep 40"])
    finally:
        sh(*inside, "-D", "INPUT", "-j", "DROP")
    assert time.monotonic() - start < 30


def test_full_disk_is_no_space_and_leaves_no_half_file(shell: Shell) -> None:
    folder = "/run/rdt-tiny"
    shell.run(["mkdir", "-p", folder])
    shell.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder])
    try:
        with pytest.raises(NoSpace) as caught:
            shell.put(f"{folder}/file", "x" * 200_000)
        assert "free some space" in caught.value.remedy
        assert shell.run(["ls", "-A", folder]).stdout == ""
    finally:
        shell.run(["umount", folder])
        shell.run(["rmdir", folder])


_CLIENT = """
    import sys
    from rally_deploy.model import Server
    from rally_deploy.ssh import Pool, detached, wire
    from tests.unit.ssh.fakes import PinnedKeys, Watcher
    shell = Pool().get(Server(host=sys.argv[1], key=sys.argv[2]), Watcher(), PinnedKeys())
    text = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.4; done; exit 6"
    detached.start(shell, "rdt-job", text)
    detached.attach(shell, "rdt-job", 60, lambda line: print(line, flush=True))
"""


def test_detached_client_killed_job_goes_on_and_is_attached_again(
    shell: Shell, hosts: list[SshdHost], watcher: Watcher
) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_CLIENT), hosts[0].address, str(hosts[0].key)],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"1\n"
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stdout.close()
    try:
        detached.start(shell, "rdt-job", "echo another")
        result = detached.attach(shell, "rdt-job", 30)
        assert (result.status, watcher.lines) == (6, list("123456"))
    finally:
        detached.end(shell, "rdt-job")
        detached.forget(shell, "rdt-job")


def test_detached_link_dropped_is_followed_on_a_new_connection(
    shell: Shell, hosts: list[SshdHost], watcher: Watcher
) -> None:
    watcher.on_line = lambda line: hosts[0].drop_logins() if line == "2" else None
    try:
        detached.start(shell, "rdt-job", "for i in 1 2 3 4 5; do echo $i; sleep 0.5; done")
        assert detached.attach(shell, "rdt-job", 30).ok
        assert watcher.lines == list("12345")
    finally:
        detached.end(shell, "rdt-job")
        detached.forget(shell, "rdt-job")


@pytest.fixture
def sudoer(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """A user of this machine for a while; call it with what sudo allows them."""
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed")
    rules = Path("/etc/sudoers.d/rdtuser")
    sh("useradd", "-M", "-d", "/", "-s", "/bin/sh", USER)
    try:
        subprocess.run(["chpasswd"], input=f"{USER}:{PASSWORD}", text=True, check=True)

        def allow(tag: str) -> None:
            rules.write_text(f"{USER} ALL=(ALL) {tag}ALL\n")
            rules.chmod(0o440)

        yield allow
    finally:
        rules.unlink(missing_ok=True)
        sh("userdel", "-f", USER)  # sshd may still be ending the last login


def test_become_without_password_runs_as_root(
    sudoer: Callable[[str], None], hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    sudoer("NOPASSWD: ")
    server = replace(hosts[0].server, user=USER, become=True)
    assert opened(server).run(["id", "-un"]).stdout == "root\n"
    assert opened(replace(server, become=False)).run(["id", "-un"]).stdout == f"{USER}\n"


def test_command_of_another_user_begins_where_that_one_may_look(
    hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    shell = opened(hosts[0].server)
    done = shell.run(["sh", "-c", "id -un; pwd; ls -d ."], user="nobody")
    assert done.stdout == "nobody\n/\n.\n"


def test_become_with_password_keeps_stdin_intact_and_the_password_hidden(
    sudoer: Callable[[str], None], hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    sudoer("")
    server = replace(hosts[0].server, key=None, user=USER, password=PASSWORD, become=True)
    shell = opened(server)
    data = "first line\n" + "x" * 300_000
    assert shell.run(["sh", "-c", "id -un; cat"], stdin=data, quiet=True).stdout == (
        f"root\n{data}"
    )
    processes = shell.run(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout
    assert PASSWORD not in processes


def test_become_with_wrong_password_says_that_sudo_refused(
    sudoer: Callable[[str], None], hosts: list[SshdHost], opened: Callable[[Server], Shell]
) -> None:
    sudoer("")
    server = replace(hosts[0].server, user=USER, become=True)
    with pytest.raises(AuthenticationFailed, match="sudo wants a password"):
        opened(server).run(["true"])


def test_become_cancelled_command_of_root_ends_there_too(
    sudoer: Callable[[str], None], hosts: list[SshdHost], opened: Callable[[Server], Shell],
    watcher: Watcher,
) -> None:
    sudoer("NOPASSWD: ")
    shell = opened(replace(hosts[0].server, user=USER, become=True))
    with pytest.raises(CommandTimeout):
        shell.run(["sh", "-c", "echo $$; sleep 60"], timeout_s=0.6)
    assert gone(int(watcher.lines[0]))


def test_paramiko_prints_nothing(hosts: list[SshdHost], tmp_path: Path) -> None:
    code = """
        import sys
        from rally_deploy.errors import Unreachable
        from rally_deploy.model import Server
        from rally_deploy.ssh import Pool
        from tests.unit.ssh.fakes import PinnedKeys, Watcher
        jump = Server(host=sys.argv[1], key=sys.argv[2])
        server = Server(host="127.0.0.1", port=9, key=sys.argv[2], jump=jump)
        try:
            Pool(2).get(server, Watcher(), PinnedKeys()).run(["true"])
        except Unreachable:
            print("unreachable")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), hosts[0].address, str(hosts[0].key)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60,
    )
    assert (done.stdout, done.stderr) == ("unreachable\n", "")
