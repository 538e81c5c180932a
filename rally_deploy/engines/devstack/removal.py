"""Takes DevStack off a server that was there before us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.engines.devstack import before, files, firewall, ownership, remains
from rally_deploy.engines.devstack import removal_scripts as scripts
from rally_deploy.engines.devstack.node import DEST, Node
from rally_deploy.engines.devstack.prepare import QUIRK_FILES
from rally_deploy.hosts import packages
from rally_deploy.model import Resource
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import STATE_DIR, Shell

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: The kind of the ledger's resource: all that is put onto one server.
KIND = "devstack"

#: DevStack's own scripts may take minutes, and may hang in what they stop.
UNDO_TIMEOUT_S = 900.0


def keep_settings(node: Node, name: str) -> None:
    """Keep the host's settings that DevStack edits, as they are before it; the first time only."""
    if not node.ours:
        node.shell.script(scripts.KEEP, kept(name), " ".join(scripts.EDITED))


def remember_edits(node: Node, name: str) -> None:
    """Keep these settings as DevStack has left them, to tell its edits from others' later."""
    if not node.ours:
        node.shell.script(scripts.KEEP, f"{kept(name)}.after", " ".join(scripts.EDITED))


def remove(
    deployment: Deployment, resource: Resource, owner: str, jobs: Sequence[str], user: str
) -> None:
    """Undo it as far as it came; what DevStack's own scripts fail at is done without them.

    :param owner: what our checkout is marked with. Of another's DevStack nothing is touched, nor
        what it shares with ours.
    :param jobs: the names of our jobs there, that of stack.sh the last.
    """
    assert resource.host is not None
    shell, home = deployment.ssh(resource.host), str(resource.facts.get("home") or DEST)
    for job in jobs:
        detached.end(shell, job)
    # A clone of its sources that was begun before a kill goes on until it has ended.
    shell.wait_unlocked(f"devstack-source-{user}")
    others = ownership.others(shell, user, home, owner, jobs[-1])
    if others:
        deployment.note(
            f"another DevStack is there: {ownership.told(others)}. It stays, with the packages, "
            "accounts and settings that both use", resource.host, warning=True)
    else:
        _undo(deployment, resource, shell, user, home)
    files.take_back(shell, kept(resource.name))
    firewall.close_ports(shell, resource.name)
    for job in jobs:
        detached.forget(shell, job)
    shell.remove_lock(f"devstack-source-{user}")
    shell.script(scripts.FORGET, kept(resource.name), STATE_DIR)


def _undo(
    deployment: Deployment, resource: Resource, shell: Shell, user: str, home: str
) -> None:
    facts, keep = resource.facts, kept(resource.name)
    _unstack(deployment, resource, shell, user, home)
    shell.script(scripts.STOP, user, "" if facts.get("account", True) else "all", timeout_s=300)
    folders = sorted(facts.get("folders", {}))
    left = remains.remove(shell, facts["named"], folders) if "named" in facts else []
    if left:
        deployment.note(
            f"what DevStack's services made stays: {', '.join(left)}; see that nothing uses it, "
            "then remove it, or restart the server", resource.host, warning=True)
    ours = [*_installed(shell, user, facts), *facts.get("packages", [])]
    shell.script(scripts.QUIRKS, " ".join(QUIRK_FILES), check=False)
    # Git is needed for it, and may be one of the packages.
    shell.script(scripts.RESTORE, keep, timeout_s=120)
    if ours:
        packages.purge(shell, list(dict.fromkeys(ours)))
    _remove_folders(shell, user, home, facts)
    came = {**facts, **facts.get("after", {})}
    shell.script(
        scripts.REMOVE, *(" ".join(came.get(key, ())) for key in ("files", "accounts", "groups")),
        "" if facts.get("locale", True) else "locale", keep, " ".join(folders), timeout_s=600,
    )


def _remove_folders(shell: Shell, user: str, home: str, facts: Mapping[str, Any]) -> None:
    """The checkout and what came into DevStack's folders; what was there before us stays."""
    made, after = not facts.get("account", True), facts.get("after", {})
    shell.script(scripts.CHECKOUT, home, timeout_s=300)
    found = [
        (folder, known, after.get("folders", {}).get(folder) or "")
        for folder, known in facts.get("folders", {}).items()
    ]
    if "dest" in facts:
        found.append((DEST, facts["dest"], after.get("dest") or ""))
    # What is in another comes before it.
    for folder, known, came in sorted(found, key=lambda one: one[0], reverse=True):
        if known:
            account = user if made or not came else ""
            shell.script(scripts.CLEAR, folder, known, came, account, timeout_s=600)
        else:
            shell.run(["rm", "-rf", "--one-file-system", folder], timeout_s=600)
    shell.script(scripts.ABOVE, *facts.get("above", ()))
    shell.script(
        scripts.ACCOUNT, user, home, "account" if made else "", facts.get("home_mode", ""))


def _unstack(
    deployment: Deployment, resource: Resource, shell: Shell, user: str, home: str
) -> None:
    """DevStack's own undoing. A database or a broker of the host's own would not survive it."""
    for script in ("unstack.sh",) if resource.facts.get("had") else ("unstack.sh", "clean.sh"):
        done = shell.script(
            scripts.UNDO, user, home, script, timeout_s=UNDO_TIMEOUT_S, check=False)
        if not done.ok:
            tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
            deployment.note(
                f"{script} ended with status {done.status}: services, files, packages, network "
                "namespaces, bridges, instances and volume groups are removed without it; "
                "iptables rules of Neutron and iSCSI targets stay until the server is restarted"
                + "".join(f": {line}" for line in tail), resource.host, warning=True)


def _installed(shell: Shell, user: str, facts: Mapping[str, Any]) -> list[str]:
    """The packages of the account's runs: what it was asked for after the last is another's."""
    if "packages" in facts.get("after", {}):
        return list(facts["after"]["packages"])
    return before.asked_for(shell, user, facts)


def kept(name: str) -> str:
    """Where the host's own files are kept while ours are in their places."""
    return f"{STATE_DIR}/kept/{name}"
