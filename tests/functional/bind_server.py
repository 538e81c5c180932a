"""BIND of this machine in a folder and on a port of its own, with one signed, dynamic zone."""

import os
import shutil
import signal
import socket
import subprocess
import time

import dns.message
import dns.query

ZONE = "lab.example.net"
KEY_NAME = "rdeploy-key"
KEY_SECRET = "bm8gc2VjcmV0IG9mIGFueWJvZHksIGEgdGVzdCdzIGtleQ=="
#: BIND knows a key of each algorithm, which is called as that; KEY_NAME is one more.
ALGORITHMS = (
    "hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")

_CONFIG = """
options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
}};
controls {{ }};
{keys}
zone "{zone}" {{
    type primary;
    file "{folder}/zone.db";
    update-policy {{ {grants} }};
}};
"""

_ZONE_FILE = """$TTL 300
@ IN SOA ns.{zone}. root.{zone}. 1 3600 600 86400 300
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
somebody-elses IN A 203.0.113.9
"""


class Bind:
    """A name server; ``stop`` and ``start`` it as often as you like."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.port = free_port()
        keys = {KEY_NAME: "hmac-sha256", **{name: name for name in ALGORITHMS}}
        (folder / "named.conf").write_text(_CONFIG.format(
            folder=folder, port=self.port, zone=ZONE,
            keys="\n".join(f'key "{name}" {{ algorithm {algorithm}; secret "{KEY_SECRET}"; }};'
                           for name, algorithm in keys.items()),
            grants=" ".join(f"grant {name} zonesub A AAAA TXT;" for name in keys)))
        (folder / "zone.db").write_text(_ZONE_FILE.format(zone=ZONE))
        self._process = None

    @property
    def block(self):
        """The ``dns`` block for it."""
        return {
            "server": "127.0.0.1", "port": self.port, "zone": ZONE, "key_name": KEY_NAME,
            "key_secret": KEY_SECRET, "ttl": 60,
        }

    def start(self):
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [named(), "-g", "-n", "1", "-c", str(self.folder / "named.conf")],
            stdout=log, stderr=log,
        )
        end = time.monotonic() + 60
        while True:
            try:
                if self.ask(ZONE, "SOA"):
                    return self
            except OSError:
                pass
            said = (self.folder / "log").read_text()
            assert self._process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.1)

    def stop(self):
        if self._process and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
            self._process.wait(timeout=30)

    def ask(self, name, kind="A"):
        """The records of this name and kind, as text."""
        question = dns.message.make_query(name, kind)
        answer = dns.query.tcp(question, "127.0.0.1", timeout=5, port=self.port)
        return sorted(str(item) for rrset in answer.answer for item in rrset)

    def names(self):
        """Every name in the zone but its own, from a transfer."""
        import dns.zone

        zone = dns.zone.from_xfr(dns.query.xfr("127.0.0.1", ZONE, port=self.port))
        return sorted(str(name) for name in zone.nodes if str(name) not in ("@", "ns"))


def named():
    """The server's program; Debian keeps it where not everybody's PATH leads."""
    return shutil.which("named", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
