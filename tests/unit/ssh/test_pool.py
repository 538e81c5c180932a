from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from rally_deploy.errors import Cancelled, Unreachable
from rally_deploy.model import Server
from rally_deploy.ssh import Pool
from rally_deploy.ssh.auth import Keys
from rally_deploy.ssh.base import HostKeys
from rally_deploy.ssh.connection import Connection
from rally_deploy.ssh.local import LocalShell
from rally_deploy.ssh.remote import SshShell
from tests.unit.ssh.fakes import LOCAL, PinnedKeys, Watcher

SERVER = Server(host="192.0.2.1")


def test_import_of_the_pool_does_not_import_paramiko() -> None:
    code = (
        "import sys; from rally_deploy.ssh import Pool; from rally_deploy.ssh import detached; "
        "Pool(); sys.exit('paramiko' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_get_local_server_is_a_local_shell() -> None:
    shell = Pool().get(LOCAL, Watcher(), PinnedKeys())
    assert isinstance(shell, LocalShell)
    assert shell.run(["echo", "here"]).stdout == "here\n"


def test_get_same_server_and_user_shares_one_connection() -> None:
    pool = Pool()
    first, second = Watcher(), Watcher()
    one = pool.get(SERVER, first, PinnedKeys())
    two = pool.get(replace(SERVER, name="other label"), second, PinnedKeys())
    assert isinstance(one, SshShell)
    assert isinstance(two, SshShell)
    assert one._connection is two._connection
    assert (one.observer, two.observer) == (first, second)


@pytest.mark.parametrize(
    "other",
    [
        replace(SERVER, user="ubuntu"),
        replace(SERVER, port=2222),
        replace(SERVER, jump=Server(host="192.0.2.9")),
    ],
)
def test_get_other_way_or_user_has_a_connection_of_its_own(other: Server) -> None:
    pool = Pool()
    one = pool.get(SERVER, Watcher(), PinnedKeys())
    two = pool.get(other, Watcher(), PinnedKeys())
    assert isinstance(one, SshShell)
    assert isinstance(two, SshShell)
    assert one._connection is not two._connection


class FakeLink:
    def __init__(self) -> None:
        self.active = True

    def is_active(self) -> bool:
        return self.active

    def drop(self) -> None:
        self.active = False


class SlowConnection(Connection):
    """Connects after a moment, to nothing; raises ``error`` instead if it has one.

    Not before so many whose check is ``checked`` wait for it.
    """

    def __init__(self, wanted: int = 0) -> None:
        super().__init__(Keys(), 1.0)
        self.connects = 0
        self.wanted = wanted
        self.checks: Counter[int] = Counter()
        self.error: Exception | None = None

    def _connect(self, server: Server, host_keys: HostKeys, check: Callable[[], None]) -> Any:
        self.connects += 1
        end = time.monotonic() + 0.3
        while time.monotonic() < end or self._waiting() < self.wanted:
            check()
            time.sleep(0.01)
        if self.error:
            raise self.error
        return FakeLink()

    def checked(self) -> None:
        self.checks[threading.get_ident()] += 1

    def _waiting(self) -> int:
        # The first check is that of a thread that may not wait yet.
        return sum(count > 1 for count in list(self.checks.values()))


def ask(connection: Connection, check: Callable[[], None] = lambda: None) -> Any:
    return connection.link(SERVER, PinnedKeys(), check)


def test_link_50_threads_at_once_connect_once() -> None:
    connection = SlowConnection(50)
    with ThreadPoolExecutor(50) as threads:
        links = list(threads.map(lambda _: ask(connection, connection.checked), range(50)))
    assert connection.connects == 1
    assert len({id(link) for link in links}) == 1


def test_link_failure_is_that_of_all_who_waited_and_not_of_later_ones() -> None:
    connection = SlowConnection(20)
    connection.error = Unreachable(SERVER, "is down")

    def one(_: int) -> bool:
        with pytest.raises(Unreachable):
            ask(connection, connection.checked)
        return True

    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(one, range(20)))
    assert connection.connects == 1
    connection.error = None
    assert ask(connection, connection.checked).is_active()


def test_link_lost_is_made_again() -> None:
    connection = SlowConnection()
    ask(connection).active = False
    assert ask(connection).is_active()
    assert connection.connects == 2


def test_link_closed_is_dropped_and_made_again() -> None:
    connection = SlowConnection()
    first = ask(connection)
    connection.close()
    assert not first.active
    assert ask(connection).is_active()


def test_link_cancel_of_the_one_who_connects_is_not_that_of_the_others() -> None:
    connection = SlowConnection(1)
    cancelled = Watcher()
    outcome: list[Any] = []

    def first() -> None:
        try:
            ask(connection, cancelled.check)
        except Cancelled as error:
            outcome.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    while not connection.connects:
        time.sleep(0.01)
    cancelled.error = Cancelled()
    assert ask(connection, connection.checked).is_active()
    thread.join()
    assert len(outcome) == 1


def test_link_waiting_for_another_can_be_cancelled() -> None:
    connection = SlowConnection(1)
    thread = threading.Thread(target=ask, args=(connection,))
    thread.start()
    while not connection.connects:
        time.sleep(0.01)
    watcher = Watcher()
    threading.Timer(0.05, lambda: setattr(watcher, "error", Cancelled())).start()
    with pytest.raises(Cancelled):
        ask(connection, watcher.check)
    connection.wanted = 0
    thread.join()
