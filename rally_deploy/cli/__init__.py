"""The command line: parse, call the deployer, render. Exit codes and colour are decided here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code; the console script ``rdeploy``."""
    from rally_deploy.cli.ending import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
