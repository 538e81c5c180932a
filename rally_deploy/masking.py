"""Secrets are replaced by *** in everything that is stored in clear or shown."""

from __future__ import annotations

import threading
from collections.abc import Iterable

#: Shorter values would mask parts of ordinary words.
_MIN_LENGTH = 4


class Mask:
    """Call it on a text. Thread-safe; knows more secrets as they are made or read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: tuple[str, ...] = ()

    def add(self, values: Iterable[str]) -> None:
        """Mask these from now on, and each line of those with many."""
        new = {
            line for value in values for line in (value, *value.splitlines())
            if len(line) >= _MIN_LENGTH
        }
        with self._lock:
            # The longest first: one secret may be a part of another.
            self._values = tuple(sorted(new.union(self._values), key=len, reverse=True))

    def values(self) -> tuple[str, ...]:
        return self._values

    def __call__(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, "***")
        return text
