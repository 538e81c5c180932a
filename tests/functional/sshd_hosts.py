"""Real sshd hosts for tests: network namespaces on one bridge, each with its own sshd.

``SshdHosts`` leaves nothing behind: namespaces, bridge and processes carry the prefix ``rdt``, and
only processes that it started are ended.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rally_deploy.model import Server

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

_CONFIG = """\
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
ListenAddress {address}
MaxStartups 500
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PrintMotd no
AllowTcpForwarding yes
LogLevel INFO
# Not this machine's own start files: they may do anything, and take their time.
SetEnv HOME={folder}
{extra}
"""


def why_not() -> str:
    """Why such hosts cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in ("ip", "ssh-keygen") if not shutil.which(tool)]
    if not SSHD:
        missing.append("sshd")
    return f"not installed: {', '.join(missing)}" if missing else ""


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def keygen(path: Path, kind: str = "ed25519") -> None:
    sh("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path))


@dataclass
class SshdHost:
    """One host. ``server`` says how to log in as root with the test's key."""

    name: str
    namespace: str
    address: str
    folder: Path
    key: Path
    extra: str = ""
    process: subprocess.Popen[bytes] | None = None
    jump: Server | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def server(self) -> Server:
        return Server(host=self.address, name=self.name, key=str(self.key), jump=self.jump)

    def start(self) -> None:
        """Start sshd; returns before it listens."""
        config = self.folder / "sshd_config"
        config.write_text(
            _CONFIG.format(folder=self.folder, address=self.address, extra=self.extra)
        )
        log = (self.folder / "sshd.log").open("ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, str(SSHD), "-D", "-e", "-f", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )
        log.close()

    def stop(self) -> None:
        """End sshd and all its logins."""
        if self.process is None:
            return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None

    def pids(self) -> list[int]:
        """All processes in its network namespace."""
        return [int(pid) for pid in sh("ip", "netns", "pids", self.namespace, check=False).split()]

    def drop_logins(self) -> None:
        """End the sshd processes of the present logins, as a broken link would."""
        for pid in self.pids():
            if self.process and pid != self.process.pid and _is_sshd(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def new_host_key(self) -> None:
        self.stop()
        for file in ("host_key", "host_key.pub"):
            (self.folder / file).unlink()
        keygen(self.folder / "host_key")
        self.start()
        wait_for_banner([self])


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() in ("sshd", "sshd-session")
    except OSError:
        return False


def until(true: Callable[[], bool], what: str, timeout_s: float = 180.0) -> None:
    """Wait for it; RuntimeError names ``what`` if it takes too long."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} does not come up")
        time.sleep(0.05)


def wait_for_banner(hosts: Sequence[SshdHost], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    for host in hosts:
        while True:
            try:
                with socket.create_connection((host.address, 22), 1) as sock:
                    if sock.recv(4) == b"SSH-":
                        break
            except OSError:
                pass
            if time.monotonic() > end:
                raise RuntimeError(f"sshd of {host.name} does not answer")
            time.sleep(0.05)


class SshdHosts:
    """``with SshdHosts(3) as hosts:`` - three hosts on a bridge of this machine.

    Names and addresses (10.200.0.0/16 and up) are none that run at the same time.

    :param number: from which on a free one is looked for.
    :param extra: more lines of sshd_config.
    """

    def __init__(self, amount: int, number: int = 0, extra: str = "") -> None:
        self._amount, self._number, self._extra = amount, number, extra
        self._undo: list[tuple[str, ...]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="rdt-sshd-"))
        self.folder.chmod(0o755)  # sshd reads the authorized keys as the user who logs in
        self.key = self.folder / "id"
        self.hosts: list[SshdHost] = []

    def __enter__(self) -> list[SshdHost]:
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self.hosts

    def __exit__(self, *error: object) -> None:
        self.close()

    def _make(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._make_bridge()
        keygen(self.key)
        keygen(self.folder / "host_key")
        for index in range(self._amount):
            self.hosts.append(self._host(index))
        for host in self.hosts:
            host.start()
        wait_for_banner(self.hosts)

    def _make_bridge(self) -> None:
        for number in range(self._number, 50):
            bridge = f"rdtbr{number}"
            made = subprocess.run(["ip", "link", "add", bridge, "type", "bridge"],
                                  capture_output=True, text=True)
            if made.returncode == 0:
                break
        else:
            raise RuntimeError(f"no bridge can be made: {made.stderr}")
        self._number, self._bridge = number, bridge
        self._undo.append(("ip", "link", "delete", bridge))
        sh("ip", "address", "add", f"10.{200 + number}.255.254/16", "dev", bridge)
        sh("ip", "link", "set", bridge, "up")

    def _host(self, index: int) -> SshdHost:
        name = f"rdt{self._number}n{index}"
        folder = self.folder / name
        folder.mkdir()
        for file in ("host_key", "host_key.pub"):
            shutil.copy2(self.folder / file, folder / file)
        shutil.copy(f"{self.key}.pub", folder / "authorized_keys")
        address = f"10.{200 + self._number}.{index // 200}.{index % 200 + 1}"
        inside = ("ip", "netns", "exec", name, "ip")
        sh("ip", "netns", "add", name)
        self._undo.append(("ip", "netns", "delete", name))
        host = SshdHost(name, name, address, folder, self.key, self._extra)
        sh("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", "eth0", "netns", name)
        # A namespace takes its links with it, but only some time later.
        self._undo.append(("ip", "link", "delete", f"{name}a"))
        sh("ip", "link", "set", f"{name}a", "master", self._bridge, "up")
        sh(*inside, "address", "add", f"{address}/16", "dev", "eth0")
        sh(*inside, "link", "set", "eth0", "up")
        sh(*inside, "link", "set", "lo", "up")
        sh(*inside, "route", "add", "default", "via", f"10.{200 + self._number}.255.254")
        return host

    def close(self) -> None:
        for host in self.hosts:
            host.stop()
        while self._undo:
            sh(*self._undo.pop(), check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """A port of this machine that takes connections and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]
