"""Ten commands, one after the other, on 100 real sshd hosts, 50 at the same time.

``python -m bench.ssh.fanout [--hosts 100] [--rounds 5] [--tools FOLDER]``

All kinds take turns in every round, so that what else the machine does hits all of them. FOLDER
holds ``ansible`` and ``pyinfra`` (a venv's bin); without it they are looked for on the PATH.
Needs root: each host is a network namespace with an sshd of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.functional.sshd_hosts import SshdHost, SshdHosts

WIDTH = 50
COMMANDS = 10

Times = dict[str, float]


def timed(argv: list[str], folder: Path, **extra: str) -> float:
    environ = {**os.environ, **extra}
    begin = time.monotonic()
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - begin


def worker(kind: str, hosts: list[SshdHost], commands: int) -> Times:
    argv = [sys.executable, "-m", "bench.ssh.worker", kind, str(hosts[0].key), str(WIDTH),
            str(commands), *(host.address for host in hosts)]
    begin = time.monotonic()
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120
    )
    elapsed = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(f"{kind} failed: {done.stderr[-2000:]}")
    times: Times = json.loads(done.stdout)
    return {**times, "process": elapsed}


def ansible(tool: str, hosts: list[SshdHost], folder: Path) -> Times:
    """The first command logs in; the others use its connections (ControlPersist)."""
    inventory = folder / "inventory.ini"
    inventory.write_text("\n".join(
        f"{host.address} ansible_user=root ansible_ssh_private_key_file={host.key}"
        for host in hosts
    ))
    control = folder / "cp"
    shutil.rmtree(control, ignore_errors=True)
    argv = [tool, "all", "-i", str(inventory), "-m", "raw", "-a", "true", "-f", str(WIDTH)]
    extra = {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control),
             "ANSIBLE_SSH_COMMON_ARGS": "-o UserKnownHostsFile=/dev/null",
             "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    begin = time.monotonic()
    first = timed(argv, folder, **extra)
    for _ in range(COMMANDS - 1):
        timed(argv, folder, **extra)
    elapsed = time.monotonic() - begin
    for socket in control.glob("*"):
        subprocess.run(["ssh", "-S", str(socket), "-O", "exit", "x"], capture_output=True)
    return {"process": elapsed, "one": first}


def pyinfra(tool: str, hosts: list[SshdHost], folder: Path) -> Times:
    inventory = folder / "inventory.py"
    inventory.write_text("hosts = " + repr([
        (host.address, {"ssh_user": "root", "ssh_key": str(host.key),
                        "ssh_strict_host_key_checking": "off"})
        for host in hosts
    ]))
    argv = [tool, "--parallel", str(WIDTH), "-y", str(inventory), "exec", "--", "true"]
    # A home of its own: it writes the hosts' keys into the user's known_hosts.
    return {"one": timed(argv, folder, HOME=str(folder))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the hosts are to be taken down
    path = f"{options.tools}:{os.environ['PATH']}"
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    with SshdHosts(options.hosts) as hosts:
        folder = hosts[0].folder.parent
        kinds: dict[str, Callable[[], Times]] = {
            "ours": lambda: {
                **worker("ours", hosts, COMMANDS), "one": worker("ours", hosts, 1)["process"]
            },
            "bare paramiko": lambda: worker("bare", hosts, COMMANDS),
        }
        for name, run in (("ansible", ansible), ("pyinfra", pyinfra)):
            tool = shutil.which(name, path=path)
            if tool:
                kinds[name] = lambda run=run, tool=tool: run(tool, hosts, folder)  # type: ignore
            else:
                print(f"{name}: not found, left out")
        for number in range(options.rounds):
            order = list(kinds) if number % 2 == 0 else list(reversed(kinds))
            for kind in order:
                for what, value in kinds[kind]().items():
                    seen[kind, what].append(value)
                print(f"round {number + 1}: {kind} done", file=sys.stderr)
    report({key: statistics.median(values) for key, values in seen.items()}, options)


ROWS = (
    ("first command, seconds inside the process", "first"),
    ("ten commands, seconds inside the process", "all"),
    ("one command, whole process", "one"),
    ("ten commands, whole process(es)", "process"),
    ("peak memory, MB", "peak_mb"),
)
RATIOS = (
    ("first command", "first", "bare paramiko", 1.1),
    ("ten commands", "all", "bare paramiko", 1.1),
    ("one command, whole process", "one", "ansible", 0.6),
    ("ten commands, whole process(es)", "process", "ansible", 0.6),
    ("one command, whole process", "one", "pyinfra", 1.0),
)


def report(median: dict[tuple[str, str], float], options: argparse.Namespace) -> None:
    kinds = list(dict.fromkeys(kind for kind, _ in median))
    print(f"{options.hosts} hosts, {WIDTH} wide, medians of {options.rounds} rounds")
    print(f"{'':44}" + "".join(f"{kind:>15}" for kind in kinds))
    for title, what in ROWS:
        cells = (f"{median[kind, what]:.2f}" if (kind, what) in median else "-" for kind in kinds)
        print(f"{title:44}" + "".join(f"{cell:>15}" for cell in cells))
    print()
    for title, what, other, limit in RATIOS:
        if (other, what) in median:
            ratio = median["ours", what] / median[other, what]
            verdict = "ok" if ratio <= limit else "MISSED"
            print(f"{title}: ours / {other} = {ratio:.2f} (at most {limit}): {verdict}")
    peak = median["ours", "peak_mb"]
    print(f"peak memory: {peak:.0f} MB (under 150): {'ok' if peak < 150 else 'MISSED'}")


if __name__ == "__main__":
    main()
