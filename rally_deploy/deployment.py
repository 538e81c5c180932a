"""The deployment entity: all that a plugin may touch.

Plugins get their config, servers, ledger, steps, parallel work, waits, shells and secrets here,
and nothing else. Cancellation raises out of each of these, so plugins need no check of their own.
"""

from __future__ import annotations

import contextvars
import copy
import secrets as random
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from rally_deploy import config as configs
from rally_deploy.cancellation import Cancellation
from rally_deploy.config import unset_env
from rally_deploy.errors import Cancelled, WaitTimeout, in_one_line, told
from rally_deploy.events import Event, Kind, NoWatcher, Watcher
from rally_deploy.ledger import Ledger
from rally_deploy.masking import Mask
from rally_deploy.model import DeploymentRecord, Resource, Server, State
from rally_deploy.observing import CommandObserver, PinnedHostKeys
from rally_deploy.parallel import run_each
from rally_deploy.ssh.base import HostKeys, Observer, Shell
from rally_deploy.store import Store

T = TypeVar("T")
R = TypeVar("R")

#: How many items ``each`` works on at the same time unless told otherwise.
DEFAULT_WIDTH = 50

#: The key of a nested deployment's stored config that holds what its outer engine handed on.
_HANDED = "handed_on"

#: A wait tells what it fails with after this long, and again when that has changed.
STILL_WAITING_S = 60.0

_step: contextvars.ContextVar[str] = contextvars.ContextVar("step", default="")


class Registry(Protocol):
    """Finds plugin classes by their name in a config."""

    def engine(self, name: str) -> type: ...

    def provider(self, name: str) -> type: ...


class Shells(Protocol):
    """Opens and keeps shells, one connection per server."""

    def get(self, server: Server, observer: Observer, host_keys: HostKeys) -> Shell: ...

    def close(self) -> None: ...


@dataclass
class Workplace:
    """What one running command of ours shares among a deployment and its children."""

    store: Store
    registry: Registry
    shells: Shells
    owner: str  # identifies this process in leases
    watcher: Watcher = field(default_factory=NoWatcher)
    cancellation: Cancellation = field(default_factory=Cancellation)
    mask: Mask = field(default_factory=Mask)
    environ: Mapping[str, str] = field(default_factory=dict)
    lease_s: float = 30.0
    wait_for_places: bool = False  # where only so many servers may be at once


class Deployment:
    """One deployment as a plugin sees it; ``owner`` is the plugin's place in the config tree."""

    def __init__(
        self, workplace: Workplace, record: DeploymentRecord, top: Deployment | None = None,
        owner: str = "engine",
    ) -> None:
        self._work = workplace
        self._top = top or self
        self.record = record
        self.uuid = record.uuid
        self.name = record.name
        self.owner = owner
        stored = workplace.store.deployments.config(record.uuid)
        #: What an outer engine handed on of its controller: name -> text, secrets among them.
        self.handed: Mapping[str, str] = stored.pop(_HANDED, {})
        self.raw_config: Mapping[str, Any] = stored
        self.config: Mapping[str, Any] = configs.resolve_env(self.raw_config, workplace.environ)
        workplace.mask.add(v for k, v in self.handed.items() if configs.sounds_secret(k))
        self.ledger = Ledger(workplace.store, record.uuid, owner)
        workplace.mask.add(configs.secret_values(self.config, workplace.registry))

    # Plugins and states

    def provider(self, block: Mapping[str, Any], key: str = "provider") -> Any:
        """The provider of a block of the config that stands at ``key`` in this plugin's block."""
        return self._work.registry.provider(configs.plugin_name(block))(self.part(key), block)

    def part(self, key: str) -> Deployment:
        """This deployment as what stands at ``key`` in this plugin's block sees it."""
        view = copy.copy(self)
        view.owner = f"{self.owner}.{key}"
        view.ledger = Ledger(self._work.store, self.uuid, view.owner)
        return view

    def engine(self) -> Any:
        return self._work.registry.engine(configs.plugin_name(self.config))(self)

    def engine_class(self, block: Mapping[str, Any]) -> Any:
        """The class of the engine of a nested block, of which there may be no deployment yet."""
        return self._work.registry.engine(configs.plugin_name(block))

    def child(
        self, name: str, config: Mapping[str, Any], handed: Mapping[str, str] | None = None,
        servers: Sequence[Server] | None = None,
    ) -> Deployment:
        """A nested deployment with a row, ledger and state of its own, made on first call.

        :param config: its engine's block, ``${env:...}`` unread.
        :param handed: what its engine finds as ``deployment.handed``.
        :param servers: of ours, that take the place of its engine's provider.
        """
        full = f"{self.name}/{name}"
        store = self._work.store.deployments
        stored = dict(config)
        if handed:
            stored[_HANDED] = dict(handed)
        if servers is not None:
            stored["provider"] = {
                "type": "GivenServers", "servers": [server.to_dict() for server in servers]
            }
        found = next((r for r in self._children() if r.name == full), None)
        if found is None:
            found = store.add(
                str(uuids.uuid4()), full, configs.plugin_name(config), stored,
                owner=self._work.owner, lease_s=self._work.lease_s, parent_uuid=self.uuid,
            )
        elif found.state is not State.READY and store.config(found.uuid) != stored:
            store.reconfigure(found.uuid, stored)
        return Deployment(self._work, found, self._top)

    def children(self) -> list[Deployment]:
        """The nested deployments that are not destroyed yet, in the order they were made."""
        return [
            Deployment(self._work, r, self._top)
            for r in self._children() if r.state is not State.DESTROYED
        ]

    def _children(self) -> list[DeploymentRecord]:
        return self._work.store.deployments.children(self.uuid)

    @property
    def state(self) -> State:
        return self._work.store.deployments.get(self.uuid).state

    def move(self, to: State, error: str = "") -> None:
        """Move to another state, and hold it if that state is a moving one."""
        now = self._work.store.deployments.get(self.uuid)
        if now.state is to and now.lease_owner == self._work.owner:
            return
        self.record = self._work.store.deployments.move(
            self.uuid, to, owner=self._work.owner, lease_s=self._work.lease_s, error=error
        )
        self._emit(Kind.STATE, str(to), detail=error)

    def deploy(self) -> None:
        """Make the cloud, or go on with it, and store how to use it; the state tells the rest."""
        if self.state is State.READY:
            return
        self.move(State.PROVISIONING)
        with self._ending_as_state():
            result = configs.cloud_result(self.engine().deploy())
            self.check_cancelled()
            self.move(State.DEPLOYING)
            self._work.store.credentials.replace(self.uuid, result)
            self.move(State.READY)

    def destroy(self) -> None:
        """Remove all that was ever made for it; harmless if that is nothing."""
        if self.state is State.DESTROYED:
            return
        self.move(State.DESTROYING)
        for place, text in unset_env(self.config):
            self.note(f"{place}: {text} is not set; a removal that needs it will fail",
                      warning=True)
        with self._ending_as_state():
            self.engine().cleanup()
            self._work.store.resources.assert_all_gone(self.uuid)
            self._work.store.deployments.forget_secrets(self.uuid)
            self.move(State.DESTROYED)

    @contextmanager
    def _ending_as_state(self) -> Iterator[None]:
        try:
            yield
        except (Cancelled, KeyboardInterrupt):
            self.move(State.CANCELLED, "cancelled")
            raise
        except Exception as error:
            self.move(State.FAILED, self._work.mask(told(error)))
            raise

    # Servers and shells

    def record_servers(self, servers: Sequence[Server]) -> None:
        """Keep the servers for ``show``, ``ssh`` and ``logs``."""
        self._work.store.servers.replace(self.uuid, servers)

    def result(self) -> Mapping[str, Any]:
        """What the engine's ``deploy`` has returned: admin, users, services; empty before."""
        return self._work.store.credentials.get(self.uuid) or {}

    def family_resources(self, kind: str) -> list[Resource]:
        """What may exist of this kind in the whole tree that this deployment is a part of."""
        return self._work.store.resources.list_family(self._top.uuid, kind)

    def servers(self) -> list[Server]:
        return self._work.store.servers.list(self.uuid)

    def ssh(self, server: Server) -> Shell:
        """The one pooled shell on this server."""
        observer = CommandObserver(
            self.uuid, self._work.watcher, self._work.mask, self.check_cancelled, _step.get
        )
        keys = PinnedHostKeys(self._work.store, self._top.uuid)
        return self._work.shells.get(server, observer, keys)

    def host_key(self, server: Server) -> str | None:
        """The pinned key of this server, as ``type base64``; None before the first login."""
        return PinnedHostKeys(self._work.store, self._top.uuid).get(server.pinned_as)

    @property
    def waits_for_places(self) -> bool:
        """Whether to wait for a place where all are taken (``--wait``), instead of failing."""
        return self._work.wait_for_places

    # Steps, events, parallel work, waits

    def check_cancelled(self) -> None:
        self._work.cancellation.check()

    @contextmanager
    def step(self, title: str, server: Server | None = None) -> Iterator[None]:
        """A timed event with a beginning and an end; steps nest, also across threads."""
        self.check_cancelled()
        step, parent = uuids.uuid4().hex[:12], _step.get()
        label = server.label if server else ""
        self._emit(Kind.STEP_BEGIN, title, server=label, step=step, parent_step=parent)
        token, start = _step.set(step), time.monotonic()

        def end(kind: Kind, detail: str = "") -> None:
            self._emit(kind, title, server=label, step=step, parent_step=parent, detail=detail,
                       elapsed_s=round(time.monotonic() - start, 3))

        try:
            yield
            self.check_cancelled()
        except BaseException as error:
            end(Kind.STEP_FAILED, str(error) or type(error).__name__)
            raise
        else:
            end(Kind.STEP_DONE)
        finally:
            _step.reset(token)

    def note(self, text: str, server: Server | None = None, warning: bool = False) -> None:
        self._emit(Kind.WARNING if warning else Kind.NOTE, text, step=_step.get(),
                   server=server.label if server else "")

    def timing(self, what: str, seconds: float, server: Server | None = None) -> None:
        """How long one kind of work took in all, for programs: people read it in a note."""
        self._emit(Kind.TIMING, what, elapsed_s=seconds, step=_step.get(),
                   server=server.label if server else "")

    def _emit(self, kind: Kind, title: str, detail: str = "", **fields: Any) -> None:
        mask = self._work.mask
        event = Event(self.uuid, datetime.now(timezone.utc), kind, mask(title),
                      detail=mask(detail), **fields)
        self._work.watcher.event(self._work.store.events.add(event))

    def each(
        self, work: Callable[[T], R], items: Iterable[T], limit: int | None = None
    ) -> list[R]:
        """Call ``work`` on every item, ``limit`` at the same time, and wait for all of them.

        Returns the results in the items' order. If any failed: Cancelled if one was cancelled,
        the error itself if there was one item, else one EachFailed with every result and failure.
        """
        return run_each(work, list(items), limit or DEFAULT_WIDTH, self.check_cancelled)

    def wait(
        self,
        probe: Callable[[], T],
        timeout_s: float,
        what: str,
        *,
        interval_s: float = 0.5,
        tolerate: tuple[type[Exception], ...] = (),
    ) -> T:
        """Call ``probe`` until it returns something true; WaitTimeout names ``what`` otherwise.

        :param tolerate: errors of the probe that mean "not yet"; one that stays is told.
        """
        end = time.monotonic() + timeout_s
        tell = time.monotonic() + STILL_WAITING_S
        last = said = ""
        while True:
            self.check_cancelled()
            try:
                value = probe()
                if value:
                    return value
            except tolerate as error:
                last, why = str(error), in_one_line(error)
                if why != said and time.monotonic() >= tell:
                    self._emit(Kind.WAITING, f"waiting for {what}: {why}", step=_step.get())
                    said, tell = why, time.monotonic() + STILL_WAITING_S
            if time.monotonic() >= end:
                raise WaitTimeout(f"{what}: not within {timeout_s:g} s", last)
            self._work.cancellation.sleep(interval_s)

    # Secrets

    def secret(self, name: str, make: Callable[[], str] = lambda: random.token_hex(10)) -> str:
        """A secret of the top deployment, made on first use, stored encrypted, always masked.

        Letters and digits, twenty of them: what shells, URLs and Horizon all take as it is.
        """
        found = self._work.store.secrets.get(self._top.uuid, name)
        if found is None:
            found = self._work.store.secrets.put_if_absent(self._top.uuid, name, make())
        self._work.mask.add([found])
        return found

    @property
    def watcher(self) -> Watcher:
        return self._work.watcher

    @property
    def mask(self) -> Mask:
        return self._work.mask
