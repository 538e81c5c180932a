"""An image's file: who has it in hand, and links that break."""

import http.server
import threading
import time
from contextlib import contextmanager

import pytest

from rally_deploy.serverprovider.openstack import download, refusal
from rally_deploy.serverprovider.openstack.download import Checksum, ImageBusy
from rally_deploy.serverprovider.openstack.refusal import Patience
from tests.unit.serverprovider.openstack.conftest import CONTENT, MD5

SUM = Checksum.parse(MD5)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def patience(notes):
    patience = Patience(lambda seconds: time.sleep(seconds / 10), lambda: None, notes.append)
    patience.begin(30)
    return patience


def test_image_in_another_hand_is_waited_for_until_time_is_over(patience, notes):
    with download.lock(SUM, patience, "first"):
        patience.begin(0.3)
        begin = time.monotonic()
        with pytest.raises(ImageBusy, match="another process") as caught, \
                download.lock(SUM, patience, "second"):
            pass
    assert 0.2 < time.monotonic() - begin < 5
    assert "for deployment first" in caught.value.details
    assert "rdeploy resume" in caught.value.remedy
    assert len(notes) == 1


def test_image_whose_holder_is_done_is_ours_with_our_name(patience):
    with download.lock(SUM, patience, "a deployment with a long name"):
        pass
    with download.lock(SUM, patience, "short") as folder:
        text = (folder / f"{MD5}.lock").read_text()
    assert text.endswith("for deployment short")
    assert "long" not in text


class Slow(http.server.BaseHTTPRequestHandler):
    """Gives so many bytes at a time, each time after longer than a service may be away."""

    piece, pause_s = 20_000, 1.3

    def log_message(self, *args):
        pass

    def do_GET(self):
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        time.sleep(self.pause_s)
        self.wfile.write(CONTENT[begin:begin + self.piece])


class Chunked(Slow):
    """Ends in the midst of a chunk, the first time; then gives all that is missing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.close_connection = True
        self.send_response(206 if begin else 200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cut = self.server.asked == 0
        self.server.asked += 1
        rest = CONTENT[begin:]
        self.wfile.write(b"%x\r\n" % len(rest) + (rest[:5000] if cut else rest + b"\r\n0\r\n\r\n"))


@contextmanager
def served(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = 0
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/guest.img"
        server.shutdown()


def test_download_that_comes_in_slow_pieces_is_gone_on_with(patience, tmp_path, monkeypatch):
    monkeypatch.setattr(refusal, "PATIENCE_S", Slow.pause_s - 0.1)
    with served(Slow) as url:
        path = download.fetch(url, tmp_path, SUM, patience)
    assert path.read_bytes() == CONTENT


def test_chunked_download_that_is_cut_is_tried_again(patience, tmp_path):
    with served(Chunked) as url:
        assert download.fetch(url, tmp_path, SUM, patience).read_bytes() == CONTENT
