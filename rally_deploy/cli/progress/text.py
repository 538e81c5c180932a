"""Other programs' output on our screen."""

from __future__ import annotations

import re

from rally_deploy.cli.table import clean

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")


def plain_text(line: str) -> str:
    """What a program's output line says, without its colours and other orders to a terminal."""
    text = _ESCAPES.sub("", line).rstrip("\r").rpartition("\r")[2]
    return clean(text).rstrip()
