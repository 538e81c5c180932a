"""One measured process: the same commands on the same hosts, by us or by bare paramiko.

``python -m bench.ssh.worker ours|bare KEY WIDTH COMMANDS HOST...`` prints JSON: seconds of the
first command and of all of them, and the process's peak memory in MB.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMMAND = "true"


class Keys(dict[str, str]):
    def pin(self, identity: str, key: str) -> str:
        return self.setdefault(identity, key)


def ours(key: str) -> Callable[[str], None]:
    from rally_deploy.model import Server
    from rally_deploy.ssh import Pool
    from rally_deploy.ssh import remote as _  # noqa: F401 (bare imports paramiko beforehand too)
    from rally_deploy.ssh.base import NoObserver

    pool, watcher, keys = Pool(), NoObserver(), Keys()

    def run(host: str) -> None:
        pool.get(Server(host=host, key=key), watcher, keys).run([COMMAND])

    return run


def bare(key: str) -> Callable[[str], None]:
    import paramiko

    clients: dict[str, paramiko.SSHClient] = {}

    def run(host: str) -> None:
        client = clients.get(host)
        if client is None:
            client = clients[host] = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(host, username="root", key_filename=key, allow_agent=False,
                           look_for_keys=False, timeout=60, banner_timeout=60, auth_timeout=60)
        _, stdout, stderr = client.exec_command(COMMAND)
        stdout.read()
        stderr.read()
        assert stdout.channel.recv_exit_status() == 0

    return run


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    kind, key, width, commands, *hosts = sys.argv[1:]
    run = {"ours": ours, "bare": bare}[kind](key)
    begin = time.monotonic()
    times = []
    with ThreadPoolExecutor(int(width)) as threads:
        for _ in range(int(commands)):
            list(threads.map(run, hosts))
            times.append(time.monotonic() - begin)
    print(json.dumps({"first": times[0], "all": times[-1], "peak_mb": peak_mb()}))
    # Closing is not what is measured, and bare paramiko is slow at it.
    sys.stdout.flush()
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
