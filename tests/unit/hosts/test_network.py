"""The scripts that change a host's networks, as far as they need no network."""

import fcntl
import os
import subprocess
import sys

from rally_deploy.hosts import network


def run(text):
    return subprocess.run(
        ["sh", "-ec", text], capture_output=True, text=True, timeout=60, check=False)


def test_lock_that_is_held_too_long_is_named(tmp_path):
    text = network.HOST_LOCK.replace("/var/lib", str(tmp_path)).replace("-w 100", "-w 0.1")
    assert run(text).returncode == 0
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(text)
    finally:
        os.close(held)
    assert done.returncode == 75
    assert "another change of this host's networks has not ended" in done.stderr


def test_dnsmasq_that_ends_just_before_it_is_told_to_fails_no_removal(tmp_path):
    pid_file = tmp_path / "x.dnsmasq.pid"
    dnsmasq = subprocess.Popen([sys.executable, "-c", "input()", pid_file], stdin=subprocess.PIPE)
    try:
        pid_file.write_text(str(dnsmasq.pid))
        text = network._STOP_DNSMASQ.replace("/run/", f"{tmp_path}/")
        done = run(f"name=x\nkill() {{ command kill -KILL $1; return 1; }}\n{text}\nstop_dnsmasq")
    finally:
        dnsmasq.kill()
        dnsmasq.communicate()
    assert done.returncode == 0, done.stderr
    assert not pid_file.exists()
