"""Where our own files are: XDG folders, or all of them under RDEPLOY_HOME."""

from __future__ import annotations

import os
import re
from pathlib import Path


def _folder(variable: str, default: str, inside_home: str) -> Path:
    home = os.environ.get("RDEPLOY_HOME")
    if home:
        path = Path(home) / inside_home
    else:
        path = Path(os.environ.get(variable) or Path.home() / default) / "rdeploy"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def data_dir() -> Path:
    """The database, logs and downloaded images; made on first use, mode 0700."""
    return _folder("XDG_DATA_HOME", ".local/share", "data")


def config_dir() -> Path:
    """The key of the stored secrets and the default deployment; kept apart from the database."""
    return _folder("XDG_CONFIG_HOME", ".config", "config")


def log_dir(deployment_uuid: str) -> Path:
    path = data_dir() / "logs" / deployment_uuid
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def log_file(deployment_uuid: str, server_label: str) -> Path:
    """The output of all commands on one server, for one deployment."""
    return log_dir(deployment_uuid) / (re.sub(r"[^\w.@-]", "_", server_label) + ".log")
