"""moto's EC2 as a process of its own: ``python -m tests.functional.moto_cloud PORT``."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

from tests.functional.bind_server import free_port

_NAMESPACE = b'xmlns="http://ec2.amazonaws.com/doc/2016-11-15'

#: The images of this cloud; moto's own are many and take ten seconds.
IMAGES = [
    {
        "ami_id": f"ami-1234abc{number}", "state": "available", "public": True,
        "owner_id": "099720109477", "image_location": f"amazon/{name}", "architecture": "x86_64",
        "name": name, "description": name, "image_type": "machine", "platform": None,
        "root_device_name": "/dev/sda1", "root_device_type": "ebs", "sriov": "simple",
        "hypervisor": "xen", "virtualization_type": "hvm",
    }
    for number, name in enumerate(("debian-12-amd64-20260101", "ubuntu-24.04-amd64-server"))
]


class RealNamespace:
    """EC2 itself ends the XML namespace of its answers with a slash; libcloud insists on it."""

    def __init__(self, application):
        self._application = application

    def __call__(self, environ, start_response):
        started = []

        def begin(status, headers, exc_info=None):
            started.append((status, headers))
            return lambda data: None

        body = b"".join(self._application(environ, begin))
        status, headers = started[0]
        body = body.replace(_NAMESPACE + b'"', _NAMESPACE + b'/"')
        kept = [(k, v) for k, v in headers if k.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]


class MotoCloud:
    """A running EC2 in memory; use it as a context manager."""

    def __init__(self, folder):
        self.port = free_port()
        self._log = folder / "moto.log"
        self._process = None

    @property
    def driver_args(self):
        # Its first answer takes long on a busy machine: it loads all that it knows.
        return {
            "key": "an-account", "secret": "a-secret-of-moto", "region": "eu-central-1",
            "host": "127.0.0.1", "port": self.port, "secure": False, "timeout": 300,
        }

    def driver(self):
        from rally_deploy.serverprovider.libcloud import drivers

        return drivers.make("ec2", self.driver_args)

    def __enter__(self):
        images = self._log.with_suffix(".images.json")
        images.write_text(json.dumps(IMAGES))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self.port)], stdout=log, stderr=log,
                env={**os.environ, "MOTO_AMIS_PATH": str(images)},
            )
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/", timeout=9):
                    break
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < end, self._log.read_text()
                time.sleep(0.2)
        self.all()
        return self

    def __exit__(self, *_):
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(timeout=30)

    def all(self):
        """What there is, by names: servers that are not terminated, volumes, key pairs."""
        driver = self.driver()
        # EC2 gives every server a root volume, which goes with it and has no name.
        return sorted(
            [n.name for n in driver.list_nodes() if str(n.state) != "terminated"]
            + [v.name for v in driver.list_volumes() if v.name != v.id]
            + [k.name for k in driver.list_key_pairs()]
        )


def main(port):
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    application = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, RealNamespace(application), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
