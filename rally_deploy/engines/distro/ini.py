"""Config files of OpenStack's services from nested mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Section -> option -> value.
Sections = Mapping[str, Mapping[str, Any]]

HEADER = "# Written by rdeploy; a later run writes it again.\n"


def render(sections: Sections, *, escape: bool = True) -> str:
    """An ini file; options whose value is None are left out, and so are empty sections.

    :param escape: double ``$``, which oslo.config would take for the name of another option.
    """
    blocks = []
    for section, options in sections.items():
        lines = [
            f"{name} = {_text(value, escape)}"
            for name, value in options.items() if value is not None
        ]
        if lines:
            blocks.append("\n".join([f"[{section}]", *lines]))
    return HEADER + "\n\n".join(blocks) + "\n"


def merged(*parts: Sections) -> dict[str, dict[str, Any]]:
    """Sections of all parts, a later part's options over an earlier one's."""
    result: dict[str, dict[str, Any]] = {}
    for part in parts:
        for section, options in part.items():
            result.setdefault(section, {}).update(options)
    return result


def _text(value: Any, escape: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if "\n" in text or "\r" in text:
        raise ValueError("a config value must be one line")
    return text.replace("$", "$$") if escape else text
