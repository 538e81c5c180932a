"""Packages of Debian and its relatives: what is missing, download, install, purge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rally_deploy.errors import HostError
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import STATE_DIR, Shell

_POLICY = "/usr/sbin/policy-rc.d"

#: For ``sh``: ``apt_get`` and ``mend``, which wait for others that install (a new machine updates
#: itself) and make good what was killed.
APT = r"""
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C
# apt's own option is for one lock of four, and dpkg waits for none.
patiently() {
    last=$(($(date +%s) + 300))
    while :; do
        # A file without a name: a pipe's end would be waited for with every daemon that has it.
        said=$(mktemp); exec 7>"$said" 8<"$said"; rm -f "$said"
        status=0; "$@" 2>&7 7>&- 8<&- || status=$?
        said=$(cat <&8); exec 7>&- 8<&-
        if [ $status = 0 ] || [ "$(date +%s)" -ge $last ] || ! echo "$said" |
            grep -qE 'Could not get lock|Unable to (acquire|lock)|locked by another'
        then break; fi
        echo "others install packages here: $(echo "$said" | grep -m 1 -i lock)"
        sleep 2
    done
    if [ -n "$said" ]; then echo "$said" >&2; fi
    return $status
}
apt_get() {
    patiently apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 --no-install-recommends "$@"
}
# What dpkg unpacked when it was killed, it neither configures nor removes: it is unpacked anew.
mend() {
    patiently dpkg --configure -a --force-confold || :
    half=$(dpkg-query -W -f '${db:Status-Eflag} ${binary:Package}\n' |
        awk '$1 == "reinstreq" {print $2}')
    if [ -n "$half" ]; then apt_get install --reinstall $half || :; fi
}
"""

_DOWNLOAD = APT + """
apt_get update
apt_get install --download-only "$@"
"""

# With "fast", the two slowest things that packages do are taken out of dpkg's single file: Python
# files are compiled for many packages at once beside it, and systemd reads its units again once,
# at the end. Apt's own option for dpkg's path does that: nothing on the server is changed for it.
_INSTALL = APT + f"""
fast=$1 work={STATE_DIR}/apt; shift
mkdir -p "$work"
compile() {{
    [ -e "$work/queue" ] || return 0
    mv "$work/queue" "$work/batch"
    sed -n 's/^-p \\([^ ]*\\)$/\\1/p' "$work/batch" | xargs -r dpkg -L |
        grep '^/usr/lib/.*[.]py$' | python3 -m compileall -q "$@" -i - >/dev/null 2>&1 || :
    grep -v '^-p [^ ]*$' "$work/batch" | xargs -r -L 1 py3compile || :
}}
finish() {{
    rm -rf "$work"
    if grep -qs "made by rdeploy" {_POLICY}; then rm -f {_POLICY}; fi
}}
trap finish EXIT
# Otherwise a shell that is ended by a signal leaves it undone.
trap 'exit 143' TERM INT HUP
if [ ! -e {_POLICY} ] || grep -q "made by rdeploy" {_POLICY}; then
    printf '#!/bin/sh\\n# made by rdeploy: configured first\\nexit 101\\n' >{_POLICY}
    chmod 755 {_POLICY}
fi
mend
set -- install -o Dpkg::Options::=--force-confold "$@"
if [ "$fast" = yes ]; then
    mkdir -p "$work/bin"
    printf '#!/bin/sh\\necho "$*" >>%s/queue\\n' "$work" >"$work/bin/py3compile"
    printf '#!/bin/sh\\ncase $* in *daemon-reload) ;; *) exec /bin/systemctl "$@" ;; esac\\n' \\
        >"$work/bin/systemctl"
    chmod 755 "$work/bin/py3compile" "$work/bin/systemctl"
    path=$work/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    (while [ -e "$work/bin" ]; do compile; sleep 2; done) &
    apt_get -o Dpkg::Options::=--force-unsafe-io -o DPkg::Path="$path" "$@"
    rm -rf "$work/bin"
    wait
    compile -j 0
    systemctl daemon-reload
else
    apt_get "$@"
fi
"""

#: What ``install`` does with "fast", for a root that nobody runs: of the names that are its
#: arguments it takes those that the mirror has.
INSTALL_IN_ROOT = APT + """
apt_get update
known=$(apt-cache --no-all-versions show "$@" 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
names=
for name in "$@"; do
    if printf '%s\\n' "$known" | grep -qxF -- "$name"; then names="$names $name"
    else echo "the mirror has no $name"; fi
done
if [ -z "$names" ]; then echo "the mirror has none of these packages" >&2; exit 1; fi
set -- yes $names
""" + _INSTALL

_PURGE = APT + f"""
rm -rf {STATE_DIR}/apt
if grep -qs "made by rdeploy" {_POLICY}; then rm -f {_POLICY}; fi
""" + r"""
mend
there=$(dpkg-query -W -f '${Package}:${Architecture} ${db:Status-Abbrev}\n' 2>/dev/null |
    awk '$2 != "un" {print $1}')
gone=
for name in "$@"; do
    for found in $(echo "$there" | grep -xE "$name:(amd64|arm64|all|i386|[a-z0-9]+)" || :); do
        gone="$gone $found"
    done
done
# sudo refuses to go from a host whose root has no password; we are root here without it.
export SUDO_FORCE_REMOVE=yes
# What cannot be unpacked anew, as without a mirror, must go as it is.
if [ -n "$gone" ]; then
    apt_get purge -o Dpkg::Options::=--force-remove-reinstreq --allow-remove-essential $gone
fi
"""


def version_of(shell: Shell, package: str) -> str:
    """The installed version, empty if it is not installed."""
    found = shell.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], check=False, quiet=True
    )
    return found.stdout.strip() if found.ok else ""


def missing(shell: Shell, names: Iterable[str]) -> list[str]:
    """Those that are not fully installed."""
    wanted = list(dict.fromkeys(names))
    found = shell.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *wanted],
        check=False, quiet=True,
    )
    there = {line.split()[-1] for line in found.stdout.splitlines() if line.startswith("ii")}
    return [name for name in wanted if name not in there]


def would_install(shell: Shell, names: Sequence[str]) -> list[str]:
    """All packages that an install of these would add, dependencies too. Lists must be fresh."""
    text = APT + 'apt_get update >/dev/null\napt_get install --simulate "$@"'
    done = shell.script(text, *names, timeout_s=300, quiet=True)
    return [
        words[1] for words in map(str.split, done.stdout.splitlines())
        if words[:1] == ["Inst"] and not words[2].startswith("[")
    ]


def download(shell: Shell, job: str, names: Sequence[str], timeout_s: float = 1800.0) -> None:
    """Fetch the packages and what they need, in a job that outlives our connection."""
    _job(shell, job, _DOWNLOAD, names, timeout_s, "the download of packages failed")


def install(
    shell: Shell, job: str, names: Sequence[str], *, fast: bool = False, timeout_s: float = 1800.0
) -> None:
    """Install them without starting any of their services; goes on with a half-done one.

    :param job: the name under which it runs on the server, whatever becomes of our connection.
    :param fast: for a server that is ours: less care for a power cut in the middle.
    """
    _job(shell, job, _INSTALL, ["yes" if fast else "no", *names], timeout_s,
         "the installation of packages failed")


def purge(shell: Shell, names: Sequence[str]) -> None:
    """Remove those of them that are there, with their configuration."""
    shell.script(_PURGE, *names, timeout_s=1200)


def _job(
    shell: Shell, job: str, script: str, words: Sequence[str], timeout_s: float, brief: str
) -> None:
    done = detached.run(shell, job, script, *words, timeout_s=timeout_s)
    if done.ok:
        return
    tail = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
    if "No space left on device" in tail:
        raise shell.failure(brief, done)
    raise HostError(
        shell.server, brief, tail,
        "see that this server reaches its distribution's mirror and that its package sources "
        "are right, then 'rdeploy resume'",
    )
