"""A name server that takes every signed update, and tells by which algorithm it was signed."""

import socketserver
import threading

import dns.message
import dns.tsig


class NameServerThatTakesAll:
    """Use it as a context manager; ``algorithms`` are those of the updates, as configs call them.

    It knows one key by name and secret, whichever algorithm it is used with.
    """

    def __init__(self, key_name, secret):
        self.algorithms = []
        server = self

        class Answer(socketserver.StreamRequestHandler):
            def handle(self):
                size = int.from_bytes(self.rfile.read(2), "big")
                wire = self.rfile.read(size)
                unverified = dns.message.from_wire(wire, keyring=False)
                algorithm = unverified.tsig[0].algorithm
                key = dns.tsig.Key(key_name, secret, algorithm)
                answer = dns.message.make_response(dns.message.from_wire(wire, keyring=key))
                server.algorithms.append(_called(algorithm))
                told = answer.to_wire()
                self.wfile.write(len(told).to_bytes(2, "big") + told)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def _called(algorithm):
    return "hmac-md5" if algorithm == dns.tsig.HMAC_MD5 else str(algorithm).rstrip(".").lower()
