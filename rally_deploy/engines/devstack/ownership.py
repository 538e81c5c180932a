"""Whose the DevStack on a server is: its checkout carries the name of the deployment it is of."""

from __future__ import annotations

from rally_deploy.engines.devstack.node import DEST
from rally_deploy.ssh.base import STATE_DIR, Shell

#: In a checkout: the deployment's name for it, its repository and its branch.
MARK = ".git/rdeploy-source"

#: A shell function. others USER HOME OWNER JOB: what of DevStack is there that is not OWNER's.
#: Units do not tell whose they are: they are those of the checkout, or of the stack.sh that was
#: begun as JOB if somebody has removed the checkout.
OTHERS = f"""
others() {{
    owner_home=$(getent passwd "$1" | cut -d: -f6 || :)
    checkout=${{owner_home:-$2}}/devstack mark=
    if [ -e "$checkout/{MARK}" ]; then read -r mark _ <"$checkout/{MARK}" || :; fi
    if [ "$mark" = "$3" ]; then return 0; fi
    if [ -e "$checkout" ]; then
        case $mark in rd-*) echo "$checkout ($mark)" ;; *) echo "$checkout" ;; esac
    elif [ -d "{STATE_DIR}/jobs/$4" ]; then
        return 0
    fi
    find /etc/systemd/system -maxdepth 1 -name 'devstack@*.service' -printf '%f\\n' | sort
}}
"""


def others(shell: Shell, user: str, home: str, owner: str, job: str) -> list[str]:
    """The checkout and the units of another DevStack there; empty if there is none but ours."""
    text = f'{OTHERS}\nothers "$@"'
    done = shell.script(text, user, home or DEST, owner, job, quiet=True)
    return done.stdout.splitlines()


def told(names: list[str]) -> str:
    """These names for a person: a cloud has some dozen units."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
