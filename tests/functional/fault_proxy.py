"""A proxy in front of a real cloud's endpoints that does to some requests what networks do.

It stands between a client and Keystone, and puts itself into the catalog of each token, so that
all services are reached through it. It counts what is asked.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date",
               "server", "accept-encoding"}


@dataclass
class Fault:
    """What happens to requests of this method whose path matches.

    ``act``: a status that is answered instead, or "500 after" the service has done it; "cut
    before" the request goes on to the service, "cut after" the service has answered; a number of
    seconds (float) that it is late.
    """

    method: str
    path: str
    act: int | float | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class FaultProxy:
    """One listener per service. ``auth_url`` is what a client is given instead of the real one."""

    def __init__(self, auth_url: str) -> None:
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._ports: dict[str, str] = {}  # real root -> ours
        self.faults: list[Fault] = []
        self.asked: Counter[str] = Counter()
        parts = urlsplit(auth_url)
        self.auth_url = self._front(f"{parts.scheme}://{parts.netloc}") + parts.path

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def fail(self, method: str, path: str, act: int | float | str, times: int = 1,
             **headers: str) -> Fault:
        fault = Fault(method, path, act, times, headers)
        with self._lock:
            self.faults.append(fault)
        return fault

    def forget(self) -> None:
        """No more faults, and the count begins anew."""
        with self._lock:
            self.faults.clear()
            self.asked.clear()

    def _front(self, root: str) -> str:
        """The address of our listener in front of a real root; made on first sight."""
        with self._lock:
            if root not in self._ports:
                handler = type("Handler", (_Handler,), {"proxy": self, "root": root})
                server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
                server.daemon_threads = True
                threading.Thread(target=server.serve_forever, daemon=True).start()
                self._stack.callback(server.server_close)
                self._stack.callback(server.shutdown)
                self._ports[root] = f"http://127.0.0.1:{server.server_address[1]}"
            return self._ports[root]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request is to meet."""
        with self._lock:
            self.asked[f"{method} {re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', path)}"] += 1
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def in_catalog(self, body: bytes) -> bytes:
        """A token's answer with our addresses in its catalog."""
        token = json.loads(body)
        for service in token.get("token", {}).get("catalog", ()):
            for endpoint in service["endpoints"]:
                parts = urlsplit(endpoint["url"])
                root = f"{parts.scheme}://{parts.netloc}"
                endpoint["url"] = endpoint["url"].replace(root, self._front(root), 1)
        return json.dumps(token).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy
    root: str

    def log_message(self, *args: object) -> None:
        pass

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        fault = self.proxy.take(self.command, path)
        body = self._body()
        act = fault.act if fault else None
        if act == "cut before":
            return self._cut()
        if isinstance(act, float):
            time.sleep(act)
        if fault and isinstance(act, int):
            return self._fail(act, fault)
        status, headers, answer = self._ask(body)
        if act == "cut after":
            return self._cut()
        if fault and act == "500 after":
            return self._fail(500, fault)
        if self.command == "POST" and path.endswith("/auth/tokens") and status == 201:
            answer = self.proxy.in_catalog(answer)
        return self._send(status, headers, answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The service's own answer."""
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        link = http.client.HTTPConnection(urlsplit(self.root).netloc, timeout=300)
        try:
            link.request(self.command, self.path, body or None, headers)
            answer = link.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
            return answer.status, kept, answer.read()
        finally:
            link.close()

    def _fail(self, status: int, fault: Fault) -> None:
        text = json.dumps({"error": {"message": "a fault of the test"}}).encode()
        self._send(status, {"Content-Type": "application/json", **fault.headers}, text)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed
