"""A file or a text -> a document. JSON or YAML by the file's ending, else by its look."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from rally_deploy.config.dns_section import with_dns
from rally_deploy.config.document import MAX_BYTES, Document, Text
from rally_deploy.config.json_text import JsonReader
from rally_deploy.config.sections import with_sections
from rally_deploy.config.strings import with_variables
from rally_deploy.config.yaml_text import read_yaml
from rally_deploy.errors import ConfigError, Problem

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LOOKS_LIKE_JSON = re.compile(r"\s*(?:[{\[]|//|/\*)")


def load(path: str | Path, variables: Mapping[str, str] | None = None) -> Document:
    """The config of a file, ``-`` for standard input; ``variables`` are those of ``--var``.

    Raises ConfigError for anything that keeps it from being read, with the place if there is one.
    """
    source = "<stdin>" if str(path) == "-" else str(path)
    try:
        content = _read(path)
    except ValueError as error:
        raise _error(source, "the name of a file cannot hold a NUL character") from error
    except OSError as error:
        raise _error(source, *_reason(error)) from error
    return parse(_decode(content, source), source, variables)


def parse(
    text: str, source: str = "<text>", variables: Mapping[str, str] | None = None
) -> Document:
    """The config of a text; its format is told by the source's ending, else by its look."""
    if len(text) > MAX_BYTES:
        raise _too_large(source)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise _error(source, "the file is empty")
    nul = text.find("\0")
    if nul >= 0:
        raise Text(text, source).error(nul, "a NUL character: this is no text file")
    if _is_json(text, source):
        document = JsonReader(text, source).document()
    else:
        document = read_yaml(text, source)
    return with_dns(with_sections(with_variables(document, variables or {})))


def _is_json(text: str, source: str) -> bool:
    ending = source.lower().rpartition(".")[2]
    if ending in ("yaml", "yml"):
        return False
    return ending == "json" or bool(_LOOKS_LIKE_JSON.match(text))


def _read(path: str | Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _decode(content: bytes, source: str) -> str:
    if len(content) > MAX_BYTES:
        raise _too_large(source)
    for mark, encoding in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise _error(source, f"the file is {encoding}", "save it as UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = Text(content[: error.start].decode("utf-8"), source)
        raise before.error(
            len(before.text), f"the byte 0x{content[error.start]:02x} is no UTF-8",
            "save the file as UTF-8",
        ) from error


def _reason(error: OSError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return "there is no such file", "look at the path"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a file", "give a file in it"
    if isinstance(error, PermissionError):
        return "the file must not be read by this user", "look at its permissions"
    return f"the file cannot be read: {error.strerror or error}", ""


def _too_large(source: str) -> ConfigError:
    return _error(source, f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB",
                  "is it a config at all?")


def _error(source: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem("", message, source, hint=hint)], source)
