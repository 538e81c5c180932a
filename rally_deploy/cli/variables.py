"""``--var KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence

from rally_deploy.errors import UsageError


def parse_variables(given: Sequence[str]) -> dict[str, str]:
    """The values by their keys; the last one of a key counts."""
    values: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--var {text}: it must be KEY=VALUE")
        values[key] = value
    return values
