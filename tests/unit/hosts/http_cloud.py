"""A small cloud on the loopback that keeps what it is told."""

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PASSWORD = "S3cret-admin"
#: Where the answer's key is not the path's last part.
KEYS = {"detail": "flavors", "os-hypervisors": "hypervisors"}


class FakeCloud(ThreadingHTTPServer):
    """Collections at any path: POST adds, GET lists or shows, DELETE removes.

    ``with FakeCloud() as server:`` it answers.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.things, self.asked, self.broken, self.uploads = {}, [], [], {}

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def count(self, method, path):
        return sum(1 for m, p in self.asked if m == method and p == path)


class Requests(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, body=None, **headers):
        data = json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do(self):
        cloud, split = self.server, urlsplit(self.path)
        path = split.path
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cloud.asked.append((self.command, path))
        if cloud.broken:
            return self.answer(cloud.broken.pop(0), {"error": "not yet"})
        if path.endswith("/auth/tokens"):
            return self.login(json.loads(raw))
        if path.endswith("/file"):
            cloud.uploads[path] = raw
            cloud.things["/v2/images"][path.split("/")[3]]["status"] = "active"
            return self.answer(204)
        folder, _, last = path.rpartition("/")
        things = cloud.things.setdefault(path, {})
        if self.command == "POST":
            body = json.loads(raw)
            key, wanted = next(iter(body.items())) if len(body) == 1 else (None, body)
            made = {"id": uuid.uuid4().hex, "status": "queued", **wanted}
            things[made["id"]] = made
            return self.answer(201, {key: made} if key else made)
        inside = cloud.things.get(folder, {})
        if self.command == "GET" and last in inside:
            return self.answer(200, inside[last])
        if self.command == "GET":
            wanted = {k: v[0] for k, v in parse_qs(split.query).items() if k != "limit"}
            found = [t for t in things.values() if all(t.get(k) == v for k, v in wanted.items())]
            return self.answer(200, {KEYS.get(last, last.replace("-", "_")): found})
        if last not in inside:
            return self.answer(404, {"error": "no such thing"})
        if self.command == "DELETE":
            del inside[last]
        else:
            inside[last].update(next(iter(json.loads(raw).values())))
        return self.answer(204)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def login(self, body):
        given = body["auth"]["identity"]["password"]["user"]["password"]
        if given != PASSWORD:
            return self.answer(401, {"error": "unauthorized"})
        url = self.server.url
        catalog = [
            {"type": kind, "endpoints": [{"interface": "public", "region": "R", "url": url}]}
            for kind in ("image", "compute", "network")
        ]
        token = {"token": {"project": {"id": "p1"}, "catalog": catalog}}
        return self.answer(201, token, X_Subject_Token="t1")
