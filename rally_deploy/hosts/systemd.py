"""Services on a server: started when needed, restarted only if what they read has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rally_deploy.errors import CommandFailed, HostError
from rally_deploy.ssh.base import STATE_DIR, Shell

# Whether systemd has nothing to do for a unit any more.
_SETTLED = """
settled() { [ -z "$(systemctl show -p Job --value "$1")" ]; }
"""

# One call for all that need it, so that systemd starts them at the same time in its own order.
_CONVERGE = f"""{_SETTLED}
block=$1
end=$(($(date +%s) + 120))
state={STATE_DIR}/units
mkdir -p "$state"
needed=
look() {{
    unit=$1; shift
    # A start that was killed with its create may still go on, and must come to its end: MariaDB
    # never ends if it is told to stop within the milliseconds in which it opens its port.
    until systemctl is-active -q "$unit" || settled "$unit" || [ "$(date +%s)" -ge "$end" ]; do
        sleep 0.1
    done
    want=$(cat -- "$@" 2>/dev/null </dev/null | sha256sum | cut -c1-64)
    if [ "$(cat "$state/$unit" 2>/dev/null)" = "$want" ] && systemctl is-active -q "$unit"; then
        return 0
    fi
    systemctl is-enabled -q "$unit" 2>/dev/null || systemctl enable -q "$unit" 2>&1
    systemctl reset-failed "$unit" 2>/dev/null || :
    echo "$want" >"$state/$unit.new"
    needed="$needed $unit"
}}
converge() {{
    [ -n "$needed" ] || return 0
    systemctl daemon-reload
    systemctl restart $block $needed
    for unit in $needed; do
        mv "$state/$unit.new" "$state/$unit"
        echo "started $unit"
    done
}}
"""

# bash has /dev/tcp: a server needs no client for this.
_WAIT = f"""{_SETTLED}
end=$(($(date +%s) + $1)); unit=$2 port=$3 kind=$4
answers() {{
    timeout 15 bash --norc -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1
        [ "$1" = http ] || exit 0
        printf "GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3
        read -r _ status _ <&3
        [ "${{status:-500}}" -lt 500 ]' "$port" "$kind" 2>/dev/null
}}
# Until its restart is through, what answers may be the old one, which is about to stop.
until settled "$unit" && answers; do
    if systemctl is-failed -q "$unit"; then echo "$unit failed" >&2; exit 70; fi
    if [ "$(date +%s)" -ge "$end" ]; then echo "no answer on port $port" >&2; exit 71; fi
    sleep 0.25
done
"""

_WHY = """
systemctl status --no-pager -n 0 "$1" 2>&1 | head -5
journalctl -u "$1" -n 15 --no-pager -o cat 2>/dev/null || :
for log in "$2"/"$1".log; do if [ -e "$log" ]; then tail -n 20 "$log"; fi; done
"""


@dataclass(frozen=True)
class Unit:
    """A service, the files whose change needs a restart, and the port that shows it is up."""

    name: str
    files: Sequence[str] = ()
    port: int = 0
    http: bool = True
    log_dir: str = "/var/log"


def start(shell: Shell, units: Sequence[Unit], *, block: bool = False) -> list[str]:
    """Begin to start and enable them, those that run with the same files excepted.

    Returns which were started; ``wait_up`` waits for one, ``block`` until systemd has them all up.
    """
    calls = "\n".join([*(" ".join(["look", u.name, *u.files]) for u in units), "converge"])
    try:
        done = shell.script(
            _CONVERGE + calls, "" if block else "--no-block", timeout_s=900, lock="units")
    except CommandFailed as error:
        raise _failure(shell, units, error) from error
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("started ")]


def wait_up(shell: Shell, unit: Unit, timeout_s: float = 600.0) -> None:
    """Wait until the unit's port answers; HostError with its log's end if it does not."""
    done = shell.script(
        _WAIT, str(int(timeout_s)), unit.name, str(unit.port), "http" if unit.http else "tcp",
        timeout_s=timeout_s + 30, check=False,
    )
    if not done.ok:
        raise _down(shell, unit, done.stderr.strip() or f"status {done.status}")


def _failure(shell: Shell, units: Sequence[Unit], error: CommandFailed) -> HostError:
    for unit in units:
        if not shell.run(["systemctl", "is-active", "-q", unit.name], check=False).ok:
            return _down(shell, unit, error.stderr.strip())
    return error


def _down(shell: Shell, unit: Unit, why: str) -> HostError:
    text = shell.script(_WHY, unit.name, unit.log_dir, check=False, quiet=True).stdout
    for secret in shell.observer.secrets():
        text, why = text.replace(secret, "***"), why.replace(secret, "***")
    return HostError(
        shell.server, f"the service {unit.name} does not run: {why}",
        "\n".join(text.splitlines()[-25:]),
        f"'journalctl -u {unit.name}' and {unit.log_dir} on that server tell more; "
        "mend it, then 'rdeploy resume'",
    )
