"""What bash itself says of lines of a localrc, which it reads without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

_TIMEOUT_S = 20
_SAID = re.compile(r"[^\n]*?line (\d+): (.*)")


def complaint(lines: Sequence[tuple[int, str]]) -> tuple[int, str]:
    """The number of the line that is wrong and why; (0, "") if all is well, or without bash here.

    A quote may be closed many lines below, and an apostrophe in a here document is none: only
    bash knows. What it does not understand, stack.sh would not get over.

    :param lines: of all localrc sections, each with its number in the file.
    """
    shell = shutil.which("bash")
    if not shell or not lines:
        return 0, ""
    text = "".join(f"{line}\n" for _, line in lines)
    try:
        # Without any variable of ours: BASH_ENV names a file that would be run.
        done = subprocess.run(
            [shell, "--norc", "-n", "/dev/stdin"], input=text.encode(errors="replace"),
            capture_output=True, check=False, timeout=_TIMEOUT_S, env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0, ""
    said = _SAID.match(done.stderr.decode(errors="replace"))
    if done.returncode == 0 or not said:
        return 0, ""
    at = min(int(said[1]), len(lines))
    return lines[at - 1][0], said[2]
