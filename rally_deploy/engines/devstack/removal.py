"""Takes DevStack off a server that was there before us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.engines.devstack import firewall
from rally_deploy.engines.devstack import removal_scripts as scripts
from rally_deploy.engines.devstack.node import DEST, Node
from rally_deploy.engines.devstack.prepare import PACKAGES, QUIRK_FILES
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


def facts_before(node: Node) -> dict[str, Any]:
    """What is there before us, so that the rest can go: asked before anything is changed."""
    facts: dict[str, Any] = {"account": node.has_user, "home": node.home}
    if node.ours:
        return facts
    wanted = []
    if node.found.get("packages") == "apt-get":
        missing = packages.missing(node.shell, PACKAGES)
        wanted = packages.would_install(node.shell, missing) if missing else []
    found = dict(
        line.split("=", 1) for line in node.shell.script(
            scripts.LOOK, " ".join(scripts.FILES), " ".join(scripts.ACCOUNTS),
            " ".join(scripts.GROUPS), DEST, quiet=True,
        ).stdout.splitlines()
    )
    return {
        **facts, "packages": wanted, "since": found["since"],
        "dest": found.get("dest") == "yes", "locale": found.get("locale") == "yes",
        "had": found.get("had", "").split(),
        **{key: found.get(key, "").split() for key in ("files", "accounts", "groups")},
    }


def keep_settings(node: Node, name: str) -> None:
    """Keep the host's settings that DevStack edits, as they are before it; the first time only."""
    if not node.ours:
        node.shell.script(scripts.KEEP, _kept(name), " ".join(scripts.EDITED))


def remember_edits(node: Node, name: str) -> None:
    """Keep these settings as DevStack has left them, to tell its edits from others' later."""
    if not node.ours:
        node.shell.script(scripts.KEEP, f"{_kept(name)}.after", " ".join(scripts.EDITED))


def remove(deployment: Deployment, resource: Resource, jobs: Sequence[str], user: str) -> None:
    """Undo it as far as it came; what DevStack's own scripts fail at is done without them."""
    assert resource.host is not None
    shell, facts = deployment.ssh(resource.host), resource.facts
    for job in jobs:
        detached.end(shell, job)
    _unstack(deployment, resource, shell, user)
    shell.script(scripts.STOP, user, "" if facts.get("account") else "all", timeout_s=300)
    firewall.close_ports(shell, resource.name)
    ours = [*_installed(shell, user, facts), *facts.get("packages", [])]
    shell.script(scripts.QUIRKS, " ".join(QUIRK_FILES), check=False)
    # Git is needed for it, and may be one of the packages.
    shell.script(scripts.RESTORE, _kept(resource.name), timeout_s=120)
    if ours:
        packages.purge(shell, list(dict.fromkeys(ours)))
    shell.script(
        scripts.REMOVE, user, str(facts.get("home") or DEST),
        "" if facts.get("account", True) else "account", "" if facts.get("dest", True) else DEST,
        " ".join(facts.get("files", [])), " ".join(facts.get("accounts", [])),
        " ".join(facts.get("groups", [])), "" if facts.get("locale", True) else "locale",
        _kept(resource.name), timeout_s=600,
    )
    for job in jobs:
        detached.forget(shell, job)
    shell.remove_lock(f"devstack-source-{user}")
    shell.script(scripts.FORGET, _kept(resource.name), STATE_DIR)


def _unstack(deployment: Deployment, resource: Resource, shell: Shell, user: str) -> None:
    """DevStack's own undoing. A database or a broker of the host's own would not survive it."""
    home, had = resource.facts.get("home") or DEST, resource.facts.get("had", [])
    for script in ("unstack.sh",) if had else ("unstack.sh", "clean.sh"):
        done = shell.script(
            scripts.UNDO, user, str(home), script, timeout_s=UNDO_TIMEOUT_S, check=False)
        if not done.ok:
            tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
            deployment.note(
                f"{script} ended with status {done.status}; what it leaves is removed without it"
                + "".join(f": {line}" for line in tail), resource.host, warning=True)


def _installed(shell: Shell, user: str, facts: Mapping[str, Any]) -> list[str]:
    """The packages that the account's runs have installed, by apt's own history."""
    if not facts.get("since"):
        return []
    done = shell.script(scripts.HISTORY, user, str(facts["since"]), quiet=True)
    return done.stdout.split()


def _kept(name: str) -> str:
    return f"{STATE_DIR}/kept/{name}"
