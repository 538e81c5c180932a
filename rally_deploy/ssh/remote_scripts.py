"""The shell scripts behind :mod:`rally_deploy.ssh.detached`. ``$1`` is the job's folder."""

from __future__ import annotations

import shlex

from rally_deploy.ssh.processes import FUNCTIONS, GRACE_S, RUN_VARIABLE

#: ``leader``: the pid of the job's leader if it lives. ``locked``: hold the job's lock from here.
_JOB = (
    FUNCTIONS
    + r"""
d=$1
leader() {
  pid= began=
  read -r pid began 2>/dev/null <"$d/pid" || return 0
  if [ -n "$began" ] && [ "$(start_time "$pid")" = "$began" ]; then echo "$pid"; fi
}
# The folder itself is what is locked, so that the lock goes with it. It may have been removed and
# made anew while we waited.
locked() {
  while [ -d "$d" ]; do
    exec 9<"$d"
    flock 9
    if [ "$d" -ef /proc/self/fd/9 ]; then return 0; fi
  done
  return 1
}
"""
)

#: ``$2`` tombstone, ``$3`` not empty: begin although it was ended before, then the arguments.
_START = (
    _JOB
    + r"""
tomb=$2 anew=$3
shift 3
umask 077
until mkdir -p "$d"; locked; do :; done
if [ -e "$tomb" ]; then
  if [ -z "$anew" ]; then
    rmdir "$d" 2>/dev/null || :
    exit 76
  fi
  rm -f "$tomb"
fi
for f in "$d"/ended.*; do if [ -e "$f" ]; then exit 0; fi; done
if [ -n "$(leader)" ]; then exit 0; fi
rm -f "$d/pid" "$d/log" "$d/running"
printf %s SCRIPT >"$d/script.new"
chmod 700 "$d/script.new"
mv "$d/script.new" "$d/script"
printf %s ENV >"$d/env"
: >"$d/log"
: >"$d/running"
echo 0 0 >"$d/pid"
setsid sh -c RUNNER job "$d" "$@" </dev/null >>"$d/log" 2>&1 &
# The lock is the job's alone now, until it has written its pid.
exec 9<&-
flock -w 30 "$d" true
read -r p _ <"$d/pid"
if [ "$p" = 0 ]; then
  cat "$d/log" >&2
  exit 1
fi
"""
)

# It holds the lock by its descriptor 9. Its pid stands in the file before anything is run.
_RUNNER = r"""
d=$1
shift
read -r s </proc/$$/stat
began=$(IFS=' '; set -f; set -- ${s##*) }; echo "${20}")
echo "$$ $began" >"$d/pid.new" && mv "$d/pid.new" "$d/pid" || exit 1
exec 9<&-
unset RUN_VARIABLE
. "$d/env"
read -r first <"$d/script"
case $first in "#!"*) "$d/script" "$@" ;; *) sh -e "$d/script" "$@" ;; esac
mv "$d/running" "$d/ended.$?"
"""

STATUS = (
    _JOB
    + r"""
state=absent
if [ -e "$d/running" ]; then
  state=died
  if [ -n "$(leader)" ]; then state=running; fi
fi
# Looked at last: it may have ended meanwhile.
for f in "$d"/ended.*; do if [ -e "$f" ]; then state="ended ${f##*.}"; fi; done
echo "$state"
"""
)

#: ``$2`` is how many lines are known. Prints the others until the job is over.
FOLLOW = (
    _JOB
    + r"""
known=$2 over= pause=0.05
[ -e "$d/log" ] || exit 0
at=$(head -n "$known" "$d/log" | wc -c)
while :; do
  if [ ! -e "$d/running" ] || [ -z "$(leader)" ]; then over=1; fi
  size=$(stat -c %s "$d/log") || exit 0
  if [ "$size" -gt "$at" ]; then
    tail -c "+$((at + 1))" "$d/log" | head -c "$((size - at))"
    at=$size pause=0.05
  fi
  [ -z "$over" ] || exit 0
  sleep "$pause"
  case $pause in 0.05) pause=0.1 ;; 0.1) pause=0.2 ;; *) pause=0.4 ;; esac
done
"""
)

#: ``$2`` is the tombstone.
END = (
    _JOB
    + r"""
# The folder goes with the last tombstone, perhaps just now.
n=0
until mkdir -p "$(dirname "$2")" && touch "$2"; do
  n=$((n + 1))
  [ "$n" -lt 50 ] || exit 1
done
locked || exit 0
for f in "$d"/ended.*; do if [ -e "$f" ]; then exit 0; fi; done
# Without its leader, its children still form its session; they carry its name.
ours() {
  p=$(leader)
  if [ -n "$p" ]; then tree "$p"; return; fi
  read -r p began 2>/dev/null <"$d/pid" || return 0
  for q in $(grep -lzsxF "RDEPLOY_JOB=$d" /proc/[0-9]*/environ | cut -d/ -f3); do
    s=
    read -r s 2>/dev/null <"/proc/$q/stat" || continue
    set -- ${s##*) }
    if [ "$4" = "$p" ]; then tree "$q"; fi
  done
}
found=$(ours)
[ -n "$found" ] || exit 0
kill -TERM $found 2>/dev/null || :
n=0
while [ "$n" -lt TENTHS ]; do
  left=
  for p in $found; do if [ -n "$(start_time "$p")" ]; then left="$left $p"; fi; done
  [ -n "$left" ] || exit 0
  sleep 0.1
  n=$((n + 1))
done
found="$left $(ours)"
kill -KILL $found 2>/dev/null || :
n=0
while [ "$n" -lt 50 ]; do
  left=
  for p in $found; do if [ -n "$(start_time "$p")" ]; then left="$left $p"; fi; done
  [ -n "$left" ] || exit 0
  sleep 0.1
  n=$((n + 1))
done
echo "processes$left do not end" >&2
exit 1
""".replace("TENTHS", str(GRACE_S * 10))
)

#: ``$2`` is the tombstone: it goes too, but only once no start can be on its way any more, and not
#: if the job was ended once more meanwhile.
FORGET = (
    _JOB
    + r"""
if locked; then rm -rf "$d"; fi
rmdir -p "$(dirname "$d")" 2>/dev/null || :
since=$(stat -c %y "$2" 2>/dev/null) || since=
if [ -n "$since" ]; then
  setsid sh -c 'sleep 30; [ "$(stat -c %y "$1")" != "$2" ] || rm -f "$1"
    rmdir "$(dirname "$1")"' forget "$2" "$since" </dev/null >/dev/null 2>&1 9<&- &
fi
"""
)


def start(script: str, env: str) -> str:
    """The script that begins a job; it holds the job's own script and variables."""
    text = _START.replace("RUNNER", shlex.quote(_RUNNER.replace("RUN_VARIABLE", RUN_VARIABLE)))
    # The user's text last: nothing in it is replaced.
    before, after = text.split("SCRIPT", 1)
    middle, last = after.split("ENV", 1)
    env = f"export RDEPLOY_JOB=\"$d\"\n{env}"
    return f"{before}{shlex.quote(script)}{middle}{shlex.quote(env)}{last}"
