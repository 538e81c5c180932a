"""Ending processes on a server by pieces of shell script that need only sh, awk and /proc."""

from __future__ import annotations

import shlex

#: Every command that is run over SSH carries this variable, so that it can be found and ended.
RUN_VARIABLE = "RDEPLOY_RUN"

#: Seconds between SIGTERM and SIGKILL.
GRACE_S = 2

#: ``tree PID...``: these processes, what they started, and the sessions that these lead.
#: ``start_time PID``: since the boot, in ticks; empty if it is gone or a zombie.
FUNCTIONS = r"""
tree() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v seeds="$*" -v self="$$" '
    { pid = $1; sub(/^.*\) /, ""); state[pid] = $1; parent[pid] = $2; session[pid] = $4 }
    END {
      n = split(seeds, list, " ")
      for (i = 1; i <= n; i++) ours[list[i]] = 1
      do {
        more = 0
        for (p in parent)
          if (!(p in ours) && ((parent[p] in ours) || (session[p] in ours))) {
            ours[p] = 1; more = 1
          }
      } while (more)
      for (p in ours) if ((p in state) && state[p] !~ /[ZX]/ && p != self) print p
    }'
}
start_time() {
  s=
  read -r s 2>/dev/null <"/proc/$1/stat" || return 0
  set -- ${s##*) }
  case $1 in [ZX]) ;; *) echo "${20}" ;; esac
}
"""

_END_RUN = FUNCTIONS + r"""
marked=$(grep -lzsx "$1" /proc/[0-9]*/environ | cut -d/ -f3)
roots=
for p in $marked; do
  s=
  read -r s 2>/dev/null <"/proc/$p/stat" || continue
  set -- ${s##*) }
  # What the command left behind as a daemon has lost its parent; the command itself has not.
  case " $(echo $marked) 1 " in *" $2 "*) ;; *) roots="$roots $p" ;; esac
done
[ -n "$roots" ] || roots=$marked
[ -n "$roots" ] || exit 0
found=$(tree $roots)
[ -n "$found" ] || exit 0
kill -TERM $found 2>/dev/null
(
  sleep GRACE
  for p in $(tree $found); do
    case " $(echo $found) " in *" $p "*) kill -KILL "$p" 2>/dev/null ;; esac
  done
) </dev/null >/dev/null 2>&1 &
exit 0
""".replace("GRACE", str(GRACE_S))


def end_run(token: str) -> str:
    """A command line that ends the command with this token: SIGTERM now, SIGKILL later."""
    return shlex.join(["sh", "-c", _END_RUN, "end", f"{RUN_VARIABLE}={token}"])
