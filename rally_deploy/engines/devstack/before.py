"""What a server is like before DevStack comes, and right after: it is to be like that again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.engines.devstack import remains
from rally_deploy.engines.devstack import removal_scripts as scripts
from rally_deploy.engines.devstack.node import DEST, Node
from rally_deploy.engines.devstack.prepare import PACKAGES
from rally_deploy.hosts import packages
from rally_deploy.ssh.base import Shell

#: LOOK files accounts groups home dest folders...: which of them are not there; the home's mode
#: and owner; the names in dest and in each folder, each between slashes: no name has one; the
#: folders above these that are not there either.
_LOOK = r"""
echo "time=$(date '+%Y-%m-%d %H:%M:%S')"
missing() { for name in $2; do $1 "$name" >/dev/null 2>&1 || printf '%s ' "$name"; done; }
account() { getent passwd "$1"; }
group() { getent group "$1"; }
echo "files=$(missing 'test -e' "$1")"
echo "accounts=$(missing account "$2")"
echo "groups=$(missing group "$3")"
if [ -d "$4" ]; then echo "home_mode=$(stat -c '%a %u:%g' "$4")"; fi
if [ -d "$5" ]; then echo "dest=/$(ls -A "$5" | tr '\n' /)"; fi
if locale -a 2>/dev/null | grep -qixE 'en_US[.]utf-?8'; then echo locale=yes; fi
if command -v dpkg-query >/dev/null; then
    echo "had=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' rabbitmq-server erlang-base \
        mariadb-server mysql-server postgresql 2>/dev/null | awk '$1 == "ii" {printf "%s ", $2}')"
fi
shift 5
above=
for folder in "$@"; do
    if [ -d "$folder" ]; then echo "folder $folder=/$(ls -A "$folder" | tr '\n' /)"; fi
    top=$(dirname "$folder")
    while [ ! -e "$top" ]; do above="$above$top " top=$(dirname "$top"); done
done
echo "above=$above"
"""


def facts_before(node: Node) -> dict[str, Any]:
    """What is there before us, so that the rest can go: asked before anything is changed."""
    facts: dict[str, Any] = {"account": node.has_user, "home": node.home}
    if node.ours:
        return facts
    wanted = []
    if node.found.get("packages") == "apt-get":
        missing = packages.missing(node.shell, PACKAGES)
        wanted = packages.would_install(node.shell, missing) if missing else []
    found = _look(node)
    return {
        **facts, "packages": wanted, "since": found["time"], "dest": found.get("dest"),
        "home_mode": found.get("home_mode", ""), "locale": found.get("locale") == "yes",
        "had": found.get("had", "").split(),
        "named": remains.names(node.shell, node.folders.elsewhere),
        "folders": _in_folders(node, found), "above": found.get("above", "").split(),
        **{key: found.get(key, "").split() for key in ("files", "accounts", "groups")},
    }


def facts_after(node: Node, before: Mapping[str, Any]) -> dict[str, Any]:
    """What stack.sh has left once it has ended: what comes later is another's."""
    if node.ours:
        return {}
    found = _look(node)
    return {"after": {
        "dest": found.get("dest"), "folders": _in_folders(node, found),
        "packages": asked_for(node.shell, node.user, before),
        **{
            key: sorted(set(before.get(key, ())) - set(found.get(key, "").split()))
            for key in ("accounts", "groups")
        },
    }}


def names(facts: Mapping[str, Any], folder: str) -> str:
    """What was in this folder, DEST say, between slashes; empty if it was not there."""
    known = facts.get("dest") if folder == DEST else facts.get("folders", {}).get(folder)
    return str(known or "")


def asked_for(shell: Shell, user: str, before: Mapping[str, Any]) -> list[str]:
    """The packages that the account's runs have installed until now, by apt's own history."""
    if not before.get("since"):
        return []
    return shell.script(scripts.HISTORY, user, str(before["since"]), quiet=True).stdout.split()


def _look(node: Node) -> dict[str, str]:
    files = [*scripts.FILES, f"{node.home}/.config/openstack"]
    told = node.shell.script(
        _LOOK, " ".join(files), " ".join(scripts.ACCOUNTS), " ".join(scripts.GROUPS), node.home,
        DEST, *node.folders.elsewhere, quiet=True,
    ).stdout
    return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)


def _in_folders(node: Node, found: Mapping[str, str]) -> dict[str, str | None]:
    return {folder: found.get(f"folder {folder}") for folder in node.folders.elsewhere}
