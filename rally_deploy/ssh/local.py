"""Commands on this machine, with no sshd: ``"connection": "local"``."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rally_deploy.ssh.base import Result, Shell
from rally_deploy.ssh.output import Output, Stream
from rally_deploy.ssh.processes import GRACE_S

_CHECK_S = 0.2
#: A command that ended may have left a daemon that keeps its output open: not waited for.
_LEFT_OPEN_S = 0.5
_CHUNK = 1 << 16


class LocalShell(Shell):
    """A shell on this machine. Each command has a session of its own, and is ended with it."""

    @property
    def needs_sudo(self) -> bool:
        return self.server.become and os.geteuid() != 0

    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        self.observer.check()
        start = time.monotonic()
        output = Output(None if quiet else lambda line: self.observer.line(self.server, line))
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], start_new_session=True, env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        with self._ending(process):
            for _ in _transfer(process, stdin, output):
                self.observer.check()
                if time.monotonic() - start > timeout_s:
                    raise self.timeout(command, timeout_s, output.last())
        output.end()
        code = process.returncode
        return Result(
            command, code if code >= 0 else 128 - code,
            output.out.text, output.err.text, time.monotonic() - start,
        )

    @contextmanager
    def _ending(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._end(process)
            raise
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    _close(pipe)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM to the whole group, and SIGKILL to what of it is left after a while."""
        self._signal(process.pid, signal.SIGTERM)
        end = time.monotonic() + GRACE_S
        while time.monotonic() < end and (process.poll() is None or _lives(process.pid)):
            time.sleep(0.05)
        self._signal(process.pid, signal.SIGKILL)
        process.wait()

    def _signal(self, group: int, number: signal.Signals) -> None:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            # A group that sudo leads is root's.
            if not self._sudo.known:
                return
            line, data = self._sudo.wrap(self, f"kill -{number.name[3:]} -- -{group}", b"")
            subprocess.run(["/bin/sh", "-c", line], input=data, capture_output=True, timeout=10)


def _environment() -> dict[str, str]:
    # Our own settings are no business of a command: the key of the stored secrets is among them.
    return {k: v for k, v in os.environ.items() if not k.startswith("RDEPLOY_")}


def _lives(group: int) -> bool:
    """Whether the group has a process that is no zombie: not every init reaps its orphans."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if its_group == str(group) and state not in "ZX":
            return True
    return False


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:
        pass


def _transfer(
    process: subprocess.Popen[bytes], stdin: bytes, output: Output
) -> Iterator[None]:
    """Move bytes until the process has ended; yields at least every ``_CHECK_S`` seconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    ended_at = 0.0
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for pipe, stream in ((process.stdout, output.out), (process.stderr, output.err)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, stream)
        if rest:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while selector.get_map():
            ready = selector.select(_CHECK_S)
            for key, _ in ready:
                if isinstance(key.data, Stream):
                    if not _read(key.fd, key.data):
                        selector.unregister(key.fileobj)
                    continue
                rest = _write(key.fd, rest)
                if not rest:
                    selector.unregister(key.fileobj)
                    _close(process.stdin)
            if not ready and process.poll() is not None:
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at >= _LEFT_OPEN_S:
                    break
            yield
    while True:
        try:
            process.wait(_CHECK_S)
            return
        except subprocess.TimeoutExpired:
            yield


def _read(fd: int, stream: Stream) -> bool:
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return True
    stream.feed(data)
    return bool(data)


def _write(fd: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(fd, rest[:_CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:  # it does not want to know the rest
        return rest[len(rest) :]
