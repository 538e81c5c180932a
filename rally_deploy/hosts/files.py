"""Many files on a server at once, and scripts that need to run only once there."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field

from rally_deploy.ssh import detached
from rally_deploy.ssh.base import STATE_DIR, Shell

#: Where the hashes of what was done stand on a server.
DONE_DIR = f"{STATE_DIR}/done"


@dataclass(frozen=True)
class File:
    """A file as it is to be. ``owner`` is ``user:group`` by name."""

    path: str
    content: str | bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


def put_all(shell: Shell, files: Iterable[File]) -> None:
    """Write all of them in one go, by stdin; missing folders are made.

    Each is replaced as a whole, with its mode and owner, never readable by others in between.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode = len(file.data), file.mode
            entry.uname, _, entry.gname = file.owner.partition(":")
            archive.addfile(entry, io.BytesIO(file.data))
    shell.run(
        ["tar", "-x", "-C", "/", "-p", "--same-owner", "--unlink-first", "-m", "-f", "-"],
        stdin=buffer.getvalue(), timeout_s=300, quiet=True,
    )


def once(
    shell: Shell, key: str, text: str, version: str = "", *, job: str = "",
    timeout_s: float = 120.0,
) -> bool:
    """Run a script unless it ran to its end here before with the same text and version.

    The script must be one that may be run again. Returns whether it was run.

    :param job: for a script that must not be ended in its middle: the name of the job as which it
        goes on whatever becomes of us. The next call waits for that one's end.
    """
    stamp = hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()
    path = f"{DONE_DIR}/{key}"
    found = shell.run(["cat", path], check=False, quiet=True)
    if found.ok and found.stdout.strip() == stamp:
        return False
    if job:
        done = detached.run(shell, job, text, timeout_s=timeout_s)
        if not done.ok:
            raise shell.failure(f"script of {key}", done)
    else:
        shell.script(text, timeout_s=timeout_s, lock=f"once-{key}")
    shell.put(path, stamp + "\n", mode=0o600)
    return True
