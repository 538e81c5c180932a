"""An image's file on this machine: fetched, gone on with after a broken link, verified."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit

from rally_deploy.errors import RallyDeployError
from rally_deploy.paths import data_dir
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, Patience, Tries

_CHUNK = 1 << 20
_TIMEOUT_S = 60.0

#: Of hexadecimal digits: which digest has so many.
_ALGORITHMS = {32: "md5", 64: "sha256", 128: "sha512"}


class BadImage(RallyDeployError):
    """What was fetched is not what was asked for."""


class ImageBusy(RallyDeployError):
    """Another process has its file in hand."""


@dataclass(frozen=True)
class Checksum:
    """A digest as configs have it: md5, as Rally had, or ``sha256:...``, ``sha512:...``."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Raises ValueError for what is no checksum."""
        name, _, digest = text.strip().lower().rpartition(":")
        if set(digest) - set("0123456789abcdef") or len(digest) not in _ALGORITHMS:
            raise ValueError("it must be an md5, sha256:... or sha512:... in hexadecimal digits")
        found = _ALGORITHMS[len(digest)]
        if name and name != found:
            raise ValueError(f"{len(digest)} digits are a {found}, not a {name}")
        return cls(found, digest)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"


def local_path(url: str) -> Path | None:
    """The file that a URL or path names; None if it is to be fetched."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return None
    return Path(unquote(parts.path) if parts.scheme == "file" else os.path.expanduser(url))


def digests(path: Path, patience: Patience) -> dict[str, str]:
    """md5, sha256 and sha512 of a file, read once."""
    sums = {name: hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha256", "sha512")}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            patience.check()
            for one in sums.values():
                one.update(chunk)
    return {name: one.hexdigest() for name, one in sums.items()}


@contextmanager
def lock(checksum: Checksum, patience: Patience, deployment: str) -> Iterator[Path]:
    """The folder of an image's file; only one process of this user is in it at a time.

    The lock ends with its process, however that ends, and what was fetched stays for the next.

    :param deployment: whose name those who wait for us are told.
    """
    folder = data_dir() / "images"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{checksum.digest[:32]}.lock"
    with path.open("a+") as held:
        told = False
        while not _locked(held):
            holder = _holder(held)
            if patience.left_s <= 0:
                raise ImageBusy(
                    "the image is being fetched or uploaded by another process, and time is over",
                    holder,
                    "once that one is done, or was ended with 'rdeploy cancel', "
                    "'rdeploy resume' goes on",
                )
            if not told:
                patience.note(f"{holder} fetches or uploads the image; waiting for it")
                told = True
            patience.pause(0.5)
        held.truncate(0)
        held.write(f"process {os.getpid()} for deployment {deployment}")
        held.flush()
        yield folder


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read() or "another process"


def fetch(url: str, folder: Path, checksum: Checksum, patience: Patience) -> Path:
    """The verified file: the one that ``url`` names, or the one that was fetched from there."""
    path = local_path(url)
    if path is None:
        path = folder / f"{checksum.digest[:32]}.part"
        _download(url, path, patience)
    elif not path.is_file():
        raise BadImage(f"there is no file {path}", remedy="mend 'url' of the image")
    found = digests(path, patience)[checksum.algorithm]
    if found != checksum.digest:
        if path.parent == folder:
            path.unlink()
        raise BadImage(
            f"the image from {url} is not the one that was asked for",
            f"its {checksum.algorithm} is {found},\nthe config says {checksum.digest}",
            "mend 'checksum' or 'url'; nothing was uploaded",
        )
    return path


def _download(url: str, path: Path, patience: Patience) -> None:
    tries, most = Tries(patience), 0
    while True:
        try:
            return _go_on(url, path, patience)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # all of it is there already
                return None
            refusal = CloudRefusal(f"{url} was answered with {error.code}", error.reason,
                                   "mend 'url' of the image", status=error.code)
        except (OSError, http.client.HTTPException) as error:
            refusal = CloudRefusal(
                f"{url} cannot be fetched", str(error),
                "is it reachable from here? 'rdeploy resume' goes on with what is there",
            )
        have = path.stat().st_size if path.exists() else 0
        if have > most:  # it comes in pieces, which may take any time
            tries, most = Tries(patience), have
        if not tries.again(refusal):
            raise refusal


def _go_on(url: str, path: Path, patience: Patience) -> None:
    """Fetch what is missing of the file; the whole of it where the server cannot do less."""
    have = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        mode = "ab" if answer.status == 206 else "wb"
        expected = int(answer.headers.get("Content-Length") or 0)
        got = 0
        with path.open(mode) as file:
            while chunk := answer.read(_CHUNK):
                patience.check()
                file.write(chunk)
                got += len(chunk)
    if got < expected:
        raise ConnectionError(f"the link was cut after {got} of {expected} bytes")
