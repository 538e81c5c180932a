"""The log file per server: every line that a command printed there, with its time."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

from rally_deploy import paths

_lock = threading.Lock()


class OutputLog:
    """Appends to ``logs/<uuid>/<server>.log``. A disk that is full loses lines, not the work."""

    def __init__(self, deployment_uuid: str) -> None:
        self._uuid = deployment_uuid

    def write(self, server_label: str, line: str) -> None:
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        try:
            with _lock, paths.log_file(self._uuid, server_label).open("a") as file:
                file.write(f"{stamp} {line}\n")
        except OSError:
            pass
