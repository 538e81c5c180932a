"""Many items at the same time: wait for all, lose no result and no failure."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rally_deploy.errors import Cancelled, EachFailed

T = TypeVar("T")
R = TypeVar("R")


def run_each(
    work: Callable[[T], R], items: Sequence[T], width: int, check: Callable[[], None]
) -> list[R]:
    """The results in the items' order; see ``Deployment.each`` for what is raised.

    :param check: called before each item; what it raises is that item's failure.
    """
    if not items:
        return []
    results: dict[int, R] = {}
    failures: dict[int, tuple[str, Exception]] = {}

    def one(index: int) -> None:
        item = items[index]
        try:
            check()
            results[index] = work(item)
        except Exception as error:
            label = getattr(item, "label", None) or getattr(item, "name", None) or str(item)
            failures[index] = (str(label), error)

    with ThreadPoolExecutor(min(width, len(items)), thread_name_prefix="each") as pool:
        # Each in a copy of our context, so that its steps belong to the step around.
        started = [
            pool.submit(contextvars.copy_context().run, one, index) for index in range(len(items))
        ]
        for future in started:
            future.result()
    if failures:
        _raise(len(items), results, dict(sorted(failures.items())))
    return [results[index] for index in range(len(items))]


def _raise(
    total: int, results: dict[int, R], failures: dict[int, tuple[str, Exception]]
) -> None:
    errors = [error for _, error in failures.values()]
    cancelled = next((error for error in errors if isinstance(error, Cancelled)), None)
    if cancelled or total == 1:
        raise cancelled or errors[0]
    raise EachFailed(total, results, failures) from errors[0]
