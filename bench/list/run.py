"""How long ``rdeploy list`` takes: its start, and with 10,000 deployments.

Run it as ``python -m bench.list.run [--openstack COMMAND]`` with the Python that rally_deploy is
installed for. Its start is set against that of ``openstack --version`` (python-openstackclient),
in the same run and by turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from sqlalchemy import insert

from rally_deploy.store import Store, schema
from rally_deploy.vault import Vault

DEPLOYMENTS = 10_000
#: What the figures are to stay under.
START_RATIO, LIST_S, STORE_S = 0.5, 0.5, 0.3


def fill(url: str, count: int) -> None:
    """So many ready deployments, as a user may have after years."""
    store = Store.open(url, Vault())
    now = time.time_ns() // 1000
    rows = [
        {
            "uuid": str(uuid.uuid4()), "name": f"cloud-{number}", "state": "ready",
            "engine": "DistroEngine", "created_at": now + number, "updated_at": now + number,
            "started_at": now + number, "ready_at": now + number, "error": "",
            "lease_owner": "", "lease_expires_at": None, "cancel_requested": False,
        }
        for number in range(count)
    ]
    store._database.write(lambda connection: connection.execute(insert(schema.deployments), rows))
    store.close()


def seconds(command: list[str], **environ: str) -> float:
    """Wall-clock time of a command, its output read through a pipe."""
    before = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - before


def store_seconds(url: str) -> float:
    store = Store.open(url, Vault())
    before = time.perf_counter()
    assert len(store.deployments.list()) == DEPLOYMENTS
    taken = time.perf_counter() - before
    store.close()
    return taken


def measure(rdeploy: list[str], openstack: list[str], rounds: int) -> dict[str, list[float]]:
    """All seconds of all rounds; the first round of each only warms the file cache."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (f"sqlite:///{Path(folder) / name}.sqlite" for name in ("few", "many"))
        fill(few, 3)
        fill(many, DEPLOYMENTS)
        taken: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            figures = {
                "python": seconds([sys.executable, "-c", "pass"]),
                "list": seconds([*rdeploy, "list"], RDEPLOY_HOME=folder, RDEPLOY_DB=few),
                "list 10000": seconds([*rdeploy, "list"], RDEPLOY_HOME=folder, RDEPLOY_DB=many),
                "list 10000 --json": seconds(
                    [*rdeploy, "list", "--json"], RDEPLOY_HOME=folder, RDEPLOY_DB=many
                ),
                "store 10000": store_seconds(many),
            }
            if openstack:
                figures["openstack"] = seconds([*openstack, "--version"])
            if number:
                for name, value in figures.items():
                    taken.setdefault(name, []).append(value)
        return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--openstack", default=shutil.which("openstack") or "")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    rdeploy = [sys.executable, "-m", "rally_deploy"]
    taken = measure(rdeploy, arguments.openstack.split(), arguments.rounds)
    middle = {name: statistics.median(values) for name, values in taken.items()}
    for name, values in taken.items():
        print(f"{name:20} median {middle[name]:.3f} s  best {min(values):.3f} s  "
              f"worst {max(values):.3f} s")
    checks = [
        (f"list {DEPLOYMENTS}", middle["list 10000"], LIST_S, "s"),
        (f"list {DEPLOYMENTS} --json", middle["list 10000 --json"], LIST_S, "s"),
        (f"store, list {DEPLOYMENTS}", middle["store 10000"], STORE_S, "s"),
    ]
    if "openstack" in middle:
        ratio = middle["list"] / middle["openstack"]
        checks.append(("start / openstack --version", ratio, START_RATIO, "times"))
    else:
        print("start / openstack --version: not measured, there is no openstack command")
    for what, value, limit, unit in checks:
        verdict = "ok" if value < limit else "TOO SLOW"
        print(f"{what}: {value:.3f} {unit}, to be under {limit} {unit}: {verdict}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": taken, "median": middle}, indent=1))
    return int(any(value >= limit for _, value, limit, _ in checks) or "openstack" not in middle)


if __name__ == "__main__":
    sys.exit(main())
