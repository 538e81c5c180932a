"""What is wrong in a local_conf, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config import path_text
from rally_deploy.config.document import printable
from rally_deploy.engines.devstack import folders, syntax
from rally_deploy.engines.devstack.local_conf import SERVICE_COMMANDS, services
from rally_deploy.engines.devstack.local_conf_text import (
    HEADER,
    LOCALRC,
    META,
    assigned,
    localrc_lines,
    sections,
)
from rally_deploy.engines.devstack.words import Word, word

Finding = tuple[str, str]

_KEY = re.compile(r"[A-Za-z_]\w*(\[[\w\"'./+-]+\])?\+?\Z", re.ASCII)
_PLUGIN = re.compile(r"[\w.-]+[ \t]+[^\s'\"`;|&<>()]+([ \t]+[^\s'\"`;|&<>()]+)?\Z", re.ASCII)
_SERVICE = re.compile(r"\w[\w.-]*\Z", re.ASCII)

_TWICE = "stands there twice: keep one of them"
_WHY = {
    Word.LINES: "a value has one line; put files by 'files', settings of a service into a "
                'section like "[[post-config|$NOVA_CONF]]"',
    Word.UNCLOSED: "a quote, brace or parenthesis is not closed; a single one is written \\' or "
                   '\\"',
    Word.UNQUOTED: "bash would end it at the first space outside of its quotes: quote the whole "
                   "value",
}


def mistakes(config: str | Mapping[str, Any]) -> Iterator[Finding]:
    """What cannot be written, or what bash or DevStack would choke on."""
    for name, wrong in folders.mistakes(config):
        yield _where_set(config, name), wrong
    if isinstance(config, str):
        yield from _text_mistakes(config)
        return
    for path, key, value in each_variable(config):
        yield from _variable_mistakes(path, key, value)
    yield from _localrc_mistakes(config)
    for key, value in config.items():
        if key.startswith("[") and key != LOCALRC:
            yield from _section_mistakes(key, value)


def each_variable(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Path, key and value of each variable, those of a localrc object too."""
    for key, value in config.items():
        if key == LOCALRC and isinstance(value, Mapping):
            yield from ((place(key, name), name, below) for name, below in value.items())
        elif not key.startswith("["):
            yield place(key), key, value


def _localrc_mistakes(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a ``[[local|localrc]]`` in an object: variables of its own, or lines of text."""
    inner = config.get(LOCALRC, "")
    if isinstance(inner, Mapping):
        for key in inner:
            if key in config:
                yield place(LOCALRC, key), f"'{printable(key)}' {_TWICE}"
    elif isinstance(inner, str):
        for key in assigned(inner):
            if key in config:
                yield place(LOCALRC), f"'{printable(key)}' {_TWICE}"
        for number, line in enumerate(inner.splitlines(), 1):
            if HEADER.match(line):
                yield place(LOCALRC), (f"line {number}: another section is a key of its own "
                                       "beside this one")
        yield from _syntax_mistakes(place(LOCALRC), inner)
    else:
        yield place(LOCALRC), ("it is an object of variables, or the text of the section; leave "
                               "it out if there is nothing in it")


def _variable_mistakes(path: str, key: str, value: Any) -> Iterator[Finding]:
    if key.upper() == "ENABLE_PLUGIN":
        yield from _plugin_mistakes(path, value)
        return
    if key.lower() in SERVICE_COMMANDS:
        yield from _service_mistakes(path, value)
        return
    if not _KEY.match(key):
        yield path, (f"'{printable(key)}' is no name of a shell variable: letters, digits and _, "
                     "and a + at its end to add to it")
    if isinstance(value, (list, tuple)):
        yield path, "a variable has no list: join it by commas"
    elif isinstance(value, Mapping):
        yield path, ("a variable has no object; a section is called like "
                     "'[[post-config|$NOVA_CONF]]'")
    elif isinstance(value, str) and word(value) in _WHY:
        yield path, _WHY[word(value)]


def _plugin_mistakes(path: str, value: Any) -> Iterator[Finding]:
    many = isinstance(value, (list, tuple))
    for index, plugin in enumerate(value if many else [value]):
        where = f"{path}[{index}]" if many else path
        if plugin in (None, "") and not many:
            continue
        if not isinstance(plugin, str) or not _PLUGIN.match(plugin.strip()):
            yield where, "a plugin is written as 'NAME GIT_URL', or 'NAME GIT_URL BRANCH'"


def _service_mistakes(path: str, value: Any) -> Iterator[Finding]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not isinstance(item, str) or not all(map(_SERVICE.match, services(item))):
            yield path, "services are named as 'n-api n-cpu', or in a list"
            return


def _section_mistakes(key: str, value: Any) -> Iterator[Finding]:
    if not META.match(key):
        yield place(key), ("a section is called [[PHASE|FILE]], without spaces: "
                           "[[post-config|$NOVA_CONF]]")
    elif isinstance(value, str):
        return
    elif not isinstance(value, Mapping):
        yield place(key), "a section is an object of objects, {\"DEFAULT\": {...}}, or its text"
    else:
        for section, options in value.items():
            yield from _ini_mistakes(key, section, options)


def _ini_mistakes(key: str, section: str, options: Any) -> Iterator[Finding]:
    if not isinstance(options, Mapping):
        yield place(key, section), 'a section of a file is an object, {"DEFAULT": {...}}'
        return
    if not section or re.search(r"[\[\]\s]", section):
        yield place(key, section), "a section's name has no brackets and no space"
    for option, given in options.items():
        path = place(key, section, option)
        if not re.match(r"[^\s#=\[\]][^=\n]*\Z", option):
            yield path, f"'{printable(option)}' is no name of an option"
        for value in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(value, (Mapping, list, tuple)):
                yield path, "an option has a text, a number, true, false, or a list of these"
            elif isinstance(value, str) and ("\n" in value or "\r" in value):
                yield path, "an option has one line"
            elif isinstance(value, str) and value.count('"') % 2:
                yield path, "a double quote is not closed"


def _text_mistakes(text: str) -> Iterator[Finding]:
    for number, header in sections(text):
        if not META.match(header):
            yield "local_conf", (f"line {number}: a section is called [[PHASE|FILE]], without "
                                 "spaces")
    yield from _syntax_mistakes("local_conf", text)


def _syntax_mistakes(path: str, text: str) -> Iterator[Finding]:
    number, why = syntax.complaint(list(localrc_lines(text)))
    if why:
        yield path, (f"line {number}: bash cannot read it: {why}; a single quote or bracket is "
                     "written \\' or \\\"")


def _where_set(config: str | Mapping[str, Any], name: str) -> str:
    """Where a variable is set: by its key, or in a text."""
    if isinstance(config, str):
        return place()
    if name in config:
        return place(name)
    inner = config.get(LOCALRC)
    return place(LOCALRC, name) if isinstance(inner, Mapping) else place(LOCALRC)


def place(*keys: str) -> str:
    """The path of what is below local_conf."""
    return path_text(("local_conf", *keys))
