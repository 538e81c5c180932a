"""A PostgreSQL server of the test's own: Debian's package, a temporary folder, a unix socket."""

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

#: Seconds after which the server ends, whatever has become of the test.
LIFE_S = 1800


def programs():
    """The folder of Debian's server programs, "" if the package is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=_version)
    at = found[-1] if found else shutil.which("postgres")
    return str(Path(at).resolve().parent) if at else ""


def _version(path):
    number = path.split("/")[4]
    return int(number) if number.isdecimal() else 0


class Server:
    """Started at once; it refuses to run as root, so that an account of the system runs it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: sockets have 107 characters
        self._numbers = itertools.count(1)
        self._as = self._account()
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "rdeploy", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync", "--no-instructions")
        self._start()

    def _start(self):
        data = str(self.folder / "data")
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                ["timeout", "--foreground", "--signal=INT", str(LIFE_S), f"{programs()}/postgres",
                 "-D", data, "-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log, stderr=log, cwd="/", **self._as,
            )
        self._wait()

    @staticmethod
    def _account():
        if os.geteuid() != 0:
            return {}
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = names.get("postgres") or names["nobody"]
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _run(self, program, *arguments):
        done = subprocess.run(
            [f"{programs()}/{program}", *arguments], capture_output=True, text=True, cwd="/",
            timeout=120, check=False, **self._as,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _wait(self):
        end = time.monotonic() + 60
        while not (self.folder / ".s.PGSQL.5432").exists():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "PostgreSQL did not start within 60 s"
            time.sleep(0.05)
        while True:
            try:
                return self._admin("SELECT 1")
            except Exception:
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.05)

    def _admin(self, sql):
        import psycopg

        with psycopg.connect(
            f"host={self.folder} user=rdeploy dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(sql)

    def new_database(self):
        """The URL of an empty database."""
        name = f"test_{next(self._numbers)}"
        self._admin(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name):
        return f"postgresql://rdeploy@/{name}?host={self.folder}"

    def restart(self, away_s=0.0):
        self._end()
        time.sleep(away_s)
        self._start()

    def _end(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def stop(self):
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running_server(what):
    """A server for the test ``what``; without Debian's package a skip, in CI a failure."""
    if not programs():
        text = f"{what}: needs Debian's package postgresql"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    server = Server()
    try:
        yield server
    finally:
        server.stop()
