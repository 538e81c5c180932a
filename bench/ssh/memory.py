"""Peak memory of a whole ``rdeploy create`` on N real sshd hosts, the limit being 150 MB.

``python -m bench.ssh.memory [N]`` as root: N network namespaces with an sshd each, the real
rdeploy with ExistingServers and an engine that runs one command on each host.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rally_deploy.testing.fakes import plugin_path
from tests.functional.sshd_hosts import SshdHosts

LIMIT_MB = 150


def main(amount: int) -> int:
    with tempfile.TemporaryDirectory(prefix="rdt-memory-") as folder, SshdHosts(amount) as hosts:
        place = Path(folder)
        config = place / "hosts.json"
        config.write_text(json.dumps({
            "type": "FakeEngine", "world": str(place / "world"), "command": ["uname", "-a"],
            "provider": {"type": "ExistingServers", "credentials": [
                {"host": h.address, "user": "root", "key": str(h.key)} for h in hosts
            ]},
        }))
        env = {
            **os.environ, "RDEPLOY_HOME": str(place / "home"),
            "PYTHONPATH": os.pathsep.join([plugin_path(place / "plugins"), os.getcwd()]),
        }
        done = subprocess.run(
            [sys.executable, "-m", "rally_deploy", "create", "--file", str(config)],
            env=env, capture_output=True, text=True, timeout=300, check=False,
        )
        if done.returncode:
            print(done.stdout + done.stderr)
            return 1
        # Of all children the largest one: rdeploy, as ip and sshd are small.
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"create on {amount} hosts: peak memory {peak_mb:.0f} MB (limit {LIMIT_MB} MB)")
    return 0 if peak_mb < LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
