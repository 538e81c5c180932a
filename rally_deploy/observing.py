"""What a deployment's shells tell and ask: output lines, cancellation, secrets, host keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rally_deploy.events import Output, Watcher
from rally_deploy.masking import Mask
from rally_deploy.model import Server
from rally_deploy.output_log import OutputLog
from rally_deploy.store import Store


class PinnedHostKeys:
    """The host keys in the store, pinned per top deployment."""

    def __init__(self, store: Store, uuid: str) -> None:
        self._store, self._uuid = store, uuid

    def get(self, identity: str) -> str | None:
        return self._store.host_keys.get(self._uuid, identity)

    def pin(self, identity: str, key: str) -> str:
        return self._store.host_keys.pin(self._uuid, identity, key)


class CommandObserver:
    """Passes a command's lines, masked, to the server's log file and to the watcher.

    :param step: tells the step that runs in the calling thread.
    """

    def __init__(
        self, uuid: str, watcher: Watcher, mask: Mask, check: Callable[[], None],
        step: Callable[[], str],
    ) -> None:
        self._uuid, self._watcher, self._mask, self._step = uuid, watcher, mask, step
        self.check = check
        self._log = OutputLog(uuid)

    def line(self, server: Server, line: str) -> None:
        text = self._mask(line)
        self._log.write(server.label, text)
        self._watcher.output(Output(self._uuid, server.label, self._step(), text))

    def secrets(self) -> Sequence[str]:
        return self._mask.values()
