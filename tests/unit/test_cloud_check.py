import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rally_deploy import cloud_check
from rally_deploy.cloud_check import NoToken, check
from rally_deploy.model import Credentials

PASSWORD = "right"


class FakeCloud(ThreadingHTTPServer):
    """A Keystone, and services that answer what a test wants."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Requests)
        self.asked, self.statuses, self.endpoints = [], {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, service, path, status=200, url=None, interface="public", region="RegionOne"):
        self.statuses["/" + path.split("/")[1] + "/"] = status
        self.endpoints.append((service, interface, region, url or self.url + path))

    def catalog(self):
        return [
            {"type": service, "name": service, "id": service, "endpoints": [
                {"id": f"{service}{n}", "interface": interface, "region": region,
                 "region_id": region, "url": url}
                for n, (one, interface, region, url) in enumerate(self.endpoints)
                if one == service
            ]}
            for service in dict.fromkeys(endpoint[0] for endpoint in self.endpoints)
        ]


class _Requests(BaseHTTPRequestHandler):
    server: FakeCloud

    def log_message(self, *_):
        pass

    def reply(self, status, body=None, **headers):
        text = json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.server.asked.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = body["auth"]["identity"]["password"]["user"]
        if user["password"] != PASSWORD:
            self.reply(401, {"error": {"message": "wrong", "code": 401, "title": "Unauthorized"}})
            return
        self.reply(201, {"token": {
            "methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "catalog": self.server.catalog(),
        }}, X_Subject_Token="token")

    def do_GET(self):
        self.server.asked.append(self.path)
        status = self.server.statuses.get(self.path, 404)
        if status == "hang":
            time.sleep(5)
            return
        self.reply(status)


@pytest.fixture
def cloud():
    cloud = FakeCloud()
    yield cloud
    cloud.shutdown()
    cloud.server_close()


def credentials(cloud, path="/identity/v3", **values):
    return Credentials(**{
        "auth_url": cloud.url + path, "username": "admin", "password": PASSWORD,
        "project_name": "admin", **values,
    })


def test_check_asks_every_service_of_the_catalog(cloud):
    cloud.add("identity", "/identity/v3", 300)
    cloud.add("compute", "/compute/v2.1", 401)
    cloud.add("image", "/image", 200)
    answers = check(credentials(cloud))
    assert [(a.service, a.status, a.ok) for a in answers] == [
        ("compute", 401, True), ("identity", 300, True), ("image", 200, True),
    ]


def test_server_error_is_no_good_answer(cloud):
    cloud.add("compute", "/compute/v2.1", 503)
    [answer] = check(credentials(cloud))
    assert (answer.status, answer.ok) == (503, False)


def test_service_that_refuses_does_not_answer(cloud):
    cloud.add("compute", "/compute", url="http://127.0.0.1:1/v2.1")
    [answer] = check(credentials(cloud))
    assert (answer.status, answer.ok) == (0, False)
    assert "127.0.0.1:1" in answer.detail


def test_services_that_hang_are_waited_for_together(cloud):
    for number in range(8):
        cloud.add(f"slow{number}", f"/slow{number}", "hang")
    cloud.add("image", "/image")
    start = time.monotonic()
    answers = check(credentials(cloud), timeout_s=0.5)
    assert time.monotonic() - start < 3
    assert [a.service for a in answers if a.ok] == ["image"]


def test_version_2_address_is_asked_as_version_3(cloud):
    cloud.add("image", "/image")
    assert check(credentials(cloud, "/v2.0"))[0].ok
    assert cloud.asked[0] == "/v3/auth/tokens"


def test_only_the_wanted_interface_and_region_are_asked(cloud):
    cloud.add("image", "/one", interface="internal")
    cloud.add("image", "/two", region="Elsewhere")
    cloud.add("image", "/three")
    answers = check(credentials(cloud, region_name="RegionOne"))
    assert [a.url for a in answers] == [cloud.url + "/three"]


def test_wrong_password_is_named(cloud):
    with pytest.raises(NoToken, match="refuses user admin"):
        check(credentials(cloud, password="wrong"))


def test_keystone_that_is_not_there_is_named(cloud):
    with pytest.raises(NoToken, match="no token from Keystone at http://127.0.0.1:1"):
        check(Credentials("http://127.0.0.1:1/v3", "admin", "pw", "admin"))


@pytest.mark.parametrize(("url", "root"), [
    ("http://h:8774/v2.1/abc", "http://h:8774/"),
    ("http://h/compute/v2.1", "http://h/compute/"),
    ("http://h/volume/v3/$(project_id)s", "http://h/volume/"),
    ("http://h/swift/%(tenant_id)s", "http://h/swift/"),
    ("http://h/image", "http://h/image/"),
    ("http://h:9696", "http://h:9696/"),
    ("http://h/volumes/x", "http://h/volumes/x/"),
])
def test_root_of_an_endpoint_has_no_version(url, root):
    assert cloud_check.root(url) == root
