"""Why stack.sh failed: the last error, the lines around it, the likely cause, what to do.

Two looks: first at the end of stack.sh's log, which also says whose journals belong to it; then,
with those journals and what :data:`LOOK` prints, once more.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rally_deploy.engines.devstack.causes import CAUSES, UNITS, Cause
from rally_deploy.engines.devstack.progress import STAMP, TRACE

#: Behind the first of these lines is nothing but a dump of the machine.
_END = re.compile(r"stack\.sh failed\b|Error on exit$|exit_trap: cleaning up")
_DIE = re.compile(r"\[ERROR\] (\S+?):(\d+) (.*)")
_NOISE = re.compile(
    r"\[Call Trace\]|\S+:\d+:\w+$|=+$|-+$|\+{3,}|\s*$|"
    r"(?:\S+: line \d+: )?warning: setlocale|\[\d+ Async |WAKEUP$"
)
_ERROR = re.compile(
    r"\b(?:error|fatal|failed|failure|cannot|could not|couldn't|unable to|no space|killed|denied|"
    r"refused|did not start|didn't find|not found|unsupported|timed out)\b|"
    r"\w(?:Error|Exception)\b|^E: |Errno",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"0 errors|error_log|errors?\.log|--(?:fail|no-fail)|\|\| true|DeprecationWarning|"
    r"sudo: unable to resolve host|not found, continuing|Failed to (?:stop|disable) unit|"
    r"No such file or directory: '/dev/kvm'",
    re.IGNORECASE,
)
#: Causes that have one of their own.
_SHALLOW = ("compute", "service", "database", "rabbit")
#: What the trace shows of the shell's own, and of dying.
_NO_COMMAND = frozenset((
    "set", "local", "echo", "[[", "[", "return", "sleep", "die", "exit", "trap", "err_trap",
    "exit_trap", "for", "case", "shift",
))
#: How far back from the failure a cause is looked for, in lines that are no trace.
_REACH = 150
_AROUND = 12

#: A shell script (with DEST and DATA_DIR): what the server itself says about disk, memory and
#: units.
LOOK = r"""
for place in / /var "$@" /tmp; do
    df -Pm -x tmpfs "$place" 2>/dev/null | awk 'NR == 2 && $4 < 100 {
        print "rdeploy: No space left on device: " $4 " MiB free below " $6 }'
done | sort -u
{ dmesg 2>/dev/null || journalctl -k -q --no-pager -n 500 2>/dev/null; } |
    grep -E 'Out of memory: Killed|Memory cgroup out of memory' | tail -n 3
systemctl list-units --failed --plain --no-legend --no-pager 2>/dev/null |
    awk '{print "rdeploy: failed unit: " $1}' | head -n 10
exit 0
"""


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a failure. ``cause`` and ``remedy`` are empty if it is none we know."""

    error: str  # the last error, one line
    around: tuple[str, ...]  # the lines before it and itself, without trace and time stamps
    command: str = ""  # what stack.sh was running: its last traced command and place
    name: str = ""  # of the cause: disk, memory, git ...
    cause: str = ""
    remedy: str = ""
    units: tuple[str, ...] = ()  # systemd units whose journals belong to it

    def text(self) -> str:
        """All of it, for a person."""
        lines = [f"likely cause: {self.cause}"] if self.cause else []
        lines += [f"while running: {self.command}"] if self.command else []
        return "\n".join([*lines, *self.around])


def diagnose(log: str | Sequence[str], journal: str = "", host: str = "") -> Diagnosis:
    """Find out what went wrong.

    :param log: stack.sh's output, or its last thousand lines.
    :param journal: what the journals of :attr:`Diagnosis.units` say.
    :param host: what LOOK has printed.
    """
    lines = _before_the_dump(log.splitlines() if isinstance(log, str) else log)
    said = [line for line in lines if not TRACE.match(line)]
    at = _last_error(said)
    recent = said[max(0, len(said) - _REACH):]
    cause, match = _deepest(recent, journal.splitlines()[-_REACH:], host.splitlines())
    told = [line for line in said[max(0, at - _AROUND): at + 3] if not _NOISE.match(line)]
    return Diagnosis(
        error=_plain(said[at]) if said else "", around=tuple(told[-_AROUND - 2:]),
        command=_command(lines),
        name=cause.name if cause else "",
        cause=_filled(cause.says, match) if cause and match else "",
        remedy=_filled(cause.remedy, match) if cause and match else "",
        units=_units(cause, match, lines, host),
    )


def _before_the_dump(raw: Iterable[str]) -> list[str]:
    """The lines up to the failure, without their time stamps."""
    lines = []
    for line in raw:
        text = STAMP.sub("", line, count=1).rstrip()
        if _END.match(text):
            break
        lines.append(text)
    return lines


def _last_error(said: Sequence[str]) -> int:
    """The line that tells the error best; the last line if none does."""
    low = max(0, len(said) - _REACH)
    for i in range(len(said) - 1, low - 1, -1):
        if _DIE.match(said[i]):
            return i
    for i in range(len(said) - 1, low - 1, -1):
        harmless = _HARMLESS.search(said[i]) or _NOISE.match(said[i])
        if _ERROR.search(said[i]) and not harmless:
            return i
    return max(0, len(said) - 1)


def _plain(line: str) -> str:
    """``[ERROR] /opt/stack/devstack/lib/nova:985 nova-api did not start`` without the place."""
    match = _DIE.match(line)
    return match[3] if match else line.strip()


def _deepest(
    log: Sequence[str], journal: Sequence[str], host: Sequence[str]
) -> tuple[Cause, re.Match[str]] | tuple[None, None]:
    """What the log says, unless that is only that something did not answer: then others know.

    A full disk always counts. The kernel's messages may be of another container, or of long ago.
    """
    said, full = _cause(log), _cause([line for line in host if line.startswith("rdeploy:")])
    if said and said[0].name not in _SHALLOW:
        return full or said
    told = [found for found in (said, _cause(journal), _cause(host)) if found]
    return min(told, key=lambda found: CAUSES.index(found[0])) if told else (None, None)


def _cause(lines: Sequence[str]) -> tuple[Cause, re.Match[str]] | None:
    """The deepest known reason in these lines; of several of the same kind the last one."""
    for cause in CAUSES:
        for line in reversed(lines):
            match = cause.pattern.search(line)
            if match and not _HARMLESS.search(line):
                return cause, match
    return None


def _filled(template: str, match: re.Match[str]) -> str:
    groups = {name: text or "" for name, text in match.groupdict().items()}
    return template.format_map(groups).strip().rstrip(":")


def _command(lines: Sequence[str]) -> str:
    """The last command of the trace that is no part of dying, and where it stands."""
    for line in reversed(lines):
        match = TRACE.match(line)
        if match and match[2] not in ("die", "err", "backtrace", "err_trap", "exit_trap", "warn"):
            name = match[4].split(" ", 1)[0]
            if name not in _NO_COMMAND:
                return f"{match[4]} ({match[1]}:{match[3]}, {match[2]})"
    return ""


def _units(
    cause: Cause | None, match: re.Match[str] | None, lines: Sequence[str], host: str
) -> tuple[str, ...]:
    """Of the cause, of the service that did not start, failed ones, and the one started last."""
    found = list(cause.units) if cause else []
    groups = match.groupdict() if match else {}
    if groups.get("service"):
        service = groups["service"].strip()
        found += UNITS.get(service, (f"devstack@{service}",))
    if groups.get("job"):
        found.append(groups["job"])
    found += re.findall(r"^rdeploy: failed unit: (\S+?)(?:\.service)?$", host, re.MULTILINE)
    started = _last_started(lines)
    if started and (cause is None or cause.name in ("compute", "service")):
        found.append(f"devstack@{started}")
    return tuple(dict.fromkeys(found))


def _last_started(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        match = TRACE.match(line)
        if match and match[4].startswith("run_process "):
            try:
                return shlex.split(match[4])[1]
            except (ValueError, IndexError):
                return ""
    return ""
