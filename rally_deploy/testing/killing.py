"""End this process with SIGKILL at its n-th outside call: the proof that nothing leaks.

``RDEPLOY_TEST_KILL_AT=n`` chooses the point. Each outside call has two: before it begins and
after it took effect, so odd numbers kill before a call and even ones behind it. With
``RDEPLOY_TEST_COUNT=FILE`` nothing is killed and the number of points is written to FILE.
With ``RDEPLOY_TEST_KILL_CALLS=REGEX`` only HTTP requests count whose ``METHOD URL`` has a match.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rally_deploy import deployer
from rally_deploy.deployment import Shells
from rally_deploy.model import Server
from rally_deploy.ssh.base import HostKeys, Observer, Result, Shell

_counter = itertools.count(1)
_lock = threading.Lock()


def _point(what: str) -> None:
    with _lock:
        if not re.search(os.environ.get("RDEPLOY_TEST_KILL_CALLS", ""), what):
            return
        number = next(_counter)
        count_file = os.environ.get("RDEPLOY_TEST_COUNT")
        if count_file:
            Path(count_file).write_text(str(number))
        if str(number) == os.environ.get("RDEPLOY_TEST_KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def outside_call(what: str = "") -> Iterator[None]:
    """Around everything that changes or asks the outside world."""
    _point(what)
    yield
    _point(what)


class KillingShell(Shell):
    """A shell whose every command is an outside call."""

    def __init__(self, inner: Shell) -> None:
        super().__init__(inner.server, inner.observer)
        self._inner = inner

    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        with outside_call():
            return self._inner.execute(command, stdin, timeout_s, quiet)

    def close(self) -> None:
        self._inner.close()


class KillingShells:
    """The usual pool, with each shell wrapped in a KillingShell."""

    def __init__(self, inner: Shells) -> None:
        self._inner = inner

    def get(self, server: Server, observer: Observer, host_keys: HostKeys) -> Shell:
        return KillingShell(self._inner.get(server, observer, host_keys))

    def close(self) -> None:
        self._inner.close()


def count_requests() -> None:
    """From now on each HTTP request, of whichever SDK on ``requests``, is an outside call too."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def counted(self: HTTPAdapter, request: Any, *args: Any, **kwargs: Any) -> Any:
        with outside_call(f"{request.method} {request.url}"):
            return send(self, request, *args, **kwargs)

    HTTPAdapter.send = counted  # type: ignore[method-assign]


def main() -> None:
    """``python -m rally_deploy.testing.killing ARGUMENTS``: rdeploy with these kill points."""
    from rally_deploy.cli import main as rdeploy

    usual = deployer._pool
    deployer._pool = lambda: KillingShells(usual())
    count_requests()
    sys.argv[0] = "rdeploy"
    rdeploy()


if __name__ == "__main__":
    # As a module of its own name, so that its counter is the one that plugins import.
    from rally_deploy.testing import killing

    killing.main()
