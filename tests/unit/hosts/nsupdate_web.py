"""A small nsupdate-web: names and addresses by ``GET ?name=SHORT&ip=ADDRESS``."""

import http.server
import threading
import urllib.parse


class NsupdateWeb:
    """Takes what it is asked for, but refuses the names in ``refused`` with that status and text.

    Use it as a context manager; ``records`` is what it was told, ``asked`` each query.
    """

    def __init__(self, refused=None):
        self.records, self.asked, self.refused = {}, [], refused or {}
        web = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.urlsplit(self.path).query
                asked = dict(urllib.parse.parse_qsl(query))
                web.asked.append(asked)
                name, address = asked.get("name"), asked.get("ip")
                status, text = web.refused.get(name, (200, ""))
                if status == 200 and not name:
                    status, text = 400, "Must specify 'name'"
                if status == 200:
                    text = "no-change" if web.records.get(name) == address else "success"
                    web.records[name] = address
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/update"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
