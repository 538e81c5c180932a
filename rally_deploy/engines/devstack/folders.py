"""Where stack.sh puts what it makes: DEST and DATA_DIR as a local_conf sets them.

DevStack's stackrc sets both before it reads local.conf: DATA_DIR stays below /opt/stack if only
DEST is set. They must be known before stack.sh runs, so that what is in there can be looked at.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.engines.devstack.local_conf import variables
from rally_deploy.engines.devstack.node import Folders
from rally_deploy.errors import RallyDeployError

NAMES = ("DEST", "DATA_DIR")

_EXPANSION = re.compile(r"\$(?:\{([A-Z_]+)\}|([A-Z_]+))")
_PATH = re.compile(r"(/+[\w.,:@%+-]+)+/*\Z", re.ASCII)

#: Too many others write there to tell what is DevStack's.
_SYSTEM = frozenset((
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin",
    "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/lib", "/var/log", "/var/tmp",
))


def of(local_conf: str | Mapping[str, Any], home: str) -> Folders:
    """The folders of a server on which DevStack's account has this home."""
    found, wrong = _read(local_conf, home)
    if wrong:
        raise RallyDeployError(
            "it is not known where DevStack would put its files", "\n".join(wrong.values()),
            "mend 'local_conf' in the config")
    return Folders(found["DEST"], found["DATA_DIR"])


def mistakes(local_conf: str | Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The variable and what is wrong with it, whatever the home may be."""
    yield from _read(local_conf, "/home/stack")[1].items()


def _read(
    local_conf: str | Mapping[str, Any], home: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The values, and what is wrong with them, by their variables."""
    found = {"HOME": home, "DEST": Folders.dest, "DATA_DIR": Folders.data}
    wrong: dict[str, str] = {}
    for key, value in variables(local_conf).items():
        name = key.rstrip("+")
        if name not in NAMES:
            continue
        path = _expanded(value, found)
        if key.endswith("+") or not _PATH.match(path) or ".." in path.split("/"):
            wrong[key] = (
                f"{name} must be an absolute path, with $HOME or $DEST in it at most: what was "
                "in that folder is looked at before stack.sh runs, so that destroy can leave it "
                "as it was")
        elif posixpath.normpath(path) in _SYSTEM:
            wrong[key] = (f"{name} must be a folder of its own, {posixpath.normpath(path)}/stack "
                          "say: destroy removes what comes into it")
        else:
            # Of two slashes at the beginning, normpath leaves both.
            found[name] = "/" + posixpath.normpath(path).lstrip("/")
    return found, wrong


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """The value as bash would have it, as far as that is known; empty if it is no word."""
    try:
        word = next(iter(shlex.split(value, comments=True)), "")
    except ValueError:
        return ""
    if word == "~" or word.startswith("~/"):
        word = known["HOME"] + word[1:]
    return _EXPANSION.sub(lambda match: known.get(match[1] or match[2], match[0]), word)
