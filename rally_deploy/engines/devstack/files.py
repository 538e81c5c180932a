"""What is placed on a server before stack.sh runs: the config's files, and local.conf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import RallyDeployError
from rally_deploy.ssh.base import Shell

# RECORD folder targets: copies of those that are there, the names of the others and of the folders
# that they need; of none that was recorded before.
_RECORD = r"""
folder=$1; shift
umask 077
mkdir -p "$folder"
for file in "$@"; do
    if [ -e "$folder/old$file" ] || grep -sqxF -e "$file" "$folder/new"; then continue; fi
    if [ -e "$file" ]; then
        mkdir -p "$folder/old$(dirname "$file")"
        cp -a "$file" "$folder/copy"
        mv -T "$folder/copy" "$folder/old$file"
    else
        top=$(dirname "$file")
        while [ ! -e "$top" ]; do echo "$top" >>"$folder/dirs"; top=$(dirname "$top"); done
        echo "$file" >>"$folder/new"
    fi
done
"""

_TAKE_BACK = r"""
[ -d "$1" ] || exit 0
if [ -d "$1/old" ]; then
    (cd "$1/old" && find . ! -type d) | sed 's,^[.],,' | while read -r file; do
        mkdir -p "$(dirname "$file")"
        cp -a --remove-destination "$1/old$file" "$file"
    done
fi
if [ -e "$1/new" ]; then while read -r file; do rm -f "$file"; done <"$1/new"; fi
if [ -e "$1/dirs" ]; then
    sort -r "$1/dirs" | while read -r dir; do rmdir "$dir" 2>/dev/null || :; done
fi
"""


def place(node: Node, wanted: Sequence[Mapping[str, Any]], kept: str) -> None:
    """Put each file at its place, for the account.

    :param kept: where that is recorded on a server that was there before us.
    """
    targets = [_target(node, file) for file in wanted]
    outside = [path for path in targets if not path.startswith(f"{node.checkout}/")]
    if outside and not node.ours:
        node.shell.script(_RECORD, f"{kept}.files", *outside, timeout_s=600)
    for file in wanted:
        node.shell.put(_target(node, file), _content(file), mode=int(file.get("mode", "0644"), 8),
                       owner=f"{node.user}:")


def take_back(shell: Shell, kept: str) -> None:
    """Remove what was placed outside of the checkout; what was there before comes back."""
    shell.script(_TAKE_BACK, f"{kept}.files", timeout_s=600)


def _target(node: Node, file: Mapping[str, Any]) -> str:
    target = str(file["to"])
    if target.startswith("~/"):
        return f"{node.home}/{target[2:]}"
    return target if target.startswith("/") else f"{node.checkout}/files/{target}"


def write_local_conf(node: Node, text: str) -> None:
    """It holds the passwords: only the account reads it."""
    node.shell.put(f"{node.checkout}/local.conf", text, mode=0o600, owner=f"{node.user}:")


def _content(file: Mapping[str, Any]) -> bytes:
    if "content" in file:
        return str(file["content"]).encode()
    try:
        return Path(file["from"]).expanduser().read_bytes()
    except OSError as error:
        raise RallyDeployError(
            f"the file {file['from']} cannot be read", str(error), "mend 'files' in the config",
        ) from error
