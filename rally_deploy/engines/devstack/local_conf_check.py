"""What is wrong in a local_conf before anything runs, and what in it has no effect any more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config import path_text, sounds_secret
from rally_deploy.config.document import printable
from rally_deploy.engines.devstack import dropped, folders, local_conf
from rally_deploy.engines.devstack.local_conf_text import (
    ASSIGNED,
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
_SAFE_PASSWORD = re.compile(r"[A-Za-z0-9_.~][A-Za-z0-9_.~-]*\Z")
_PHASES = ("local", "post-config", "extra", "post-extra", "test-config")

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
        yield _place(config, name), wrong
    if isinstance(config, str):
        yield from _text_mistakes(config)
        return
    for path, key, value in _variables(config):
        yield from _variable_mistakes(path, key, value)
    yield from _localrc_mistakes(config)
    for key, value in config.items():
        if key.startswith("[") and key != LOCALRC:
            yield from _section_mistakes(key, value)


def warnings(config: str | Mapping[str, Any]) -> Iterator[Finding]:
    """What has no effect any more, and what to write instead; passwords that DevStack spoils."""
    if isinstance(config, str):
        yield from _text_warnings(config, "local_conf")
        return
    plugins = _plugin_names(
        plugin for _, key, value in _variables(config) if key.upper() == "ENABLE_PLUGIN"
        for plugin in local_conf.plugins(value)
    ) | _text_plugins(local_conf.localrc_text(config))
    for path, key, value in _variables(config):
        for advice in _advice(key, value, plugins):
            yield path, advice
    yield from _text_warnings(local_conf.localrc_text(config), _path(LOCALRC), plugins)
    for key, value in config.items():
        if META.match(key):
            yield from ((_path(key), advice) for advice in _phase_advice(key))
            if isinstance(value, Mapping):
                yield from _eaten_quotes(key, value)


def _variables(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Path, key and value of each variable, those of a localrc object too."""
    for key, value in config.items():
        if key == LOCALRC and isinstance(value, Mapping):
            yield from ((_path(key, name), name, below) for name, below in value.items())
        elif not key.startswith("["):
            yield _path(key), key, value


def _localrc_mistakes(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a ``[[local|localrc]]`` in an object: variables of its own, or lines of text."""
    inner = config.get(LOCALRC, "")
    if isinstance(inner, Mapping):
        for key in inner:
            if key in config:
                yield _path(LOCALRC, key), f"'{printable(key)}' {_TWICE}"
    elif isinstance(inner, str):
        for key in assigned(inner):
            if key in config:
                yield _path(LOCALRC), f"'{printable(key)}' {_TWICE}"
        for number, line in enumerate(inner.splitlines(), 1):
            if HEADER.match(line):
                yield _path(LOCALRC), (f"line {number}: another section is a key of its own "
                                       "beside this one")
    else:
        yield _path(LOCALRC), ("it is an object of variables, or the text of the section; leave "
                               "it out if there is nothing in it")


def _variable_mistakes(path: str, key: str, value: Any) -> Iterator[Finding]:
    if key.upper() == "ENABLE_PLUGIN":
        yield from _plugin_mistakes(path, value)
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


def _section_mistakes(key: str, value: Any) -> Iterator[Finding]:
    if not META.match(key):
        yield _path(key), ("a section is called [[PHASE|FILE]], without spaces: "
                           "[[post-config|$NOVA_CONF]]")
    elif isinstance(value, str):
        return
    elif not isinstance(value, Mapping):
        yield _path(key), "a section is an object of objects, {\"DEFAULT\": {...}}, or its text"
    else:
        for section, options in value.items():
            yield from _ini_mistakes(key, section, options)


def _ini_mistakes(key: str, section: str, options: Any) -> Iterator[Finding]:
    if not isinstance(options, Mapping):
        yield _path(key, section), 'a section of a file is an object, {"DEFAULT": {...}}'
        return
    if not section or re.search(r"[\[\]\s]", section):
        yield _path(key, section), "a section's name has no brackets and no space"
    for option, given in options.items():
        path = _path(key, section, option)
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


# Warnings


def _advice(key: str, value: Any, plugins: frozenset[str]) -> Iterator[str]:
    name, text = key.rstrip("+"), str(value)
    if name in dropped.VARIABLES:
        yield f"DevStack has no {name} any more, it is ignored: {dropped.VARIABLES[name]}"
    gone = dropped.VALUES.get(name, {}).get(text.strip("\"'"))
    if gone:
        yield f"DevStack has no {name}={text} any more: {gone}"
    if name == "ENABLED_SERVICES" and isinstance(value, str):
        for service in dict.fromkeys(dropped.services_of(value)):
            advice = dropped.service_advice(service, plugins)
            if service in dropped.SERVICES:
                yield f"DevStack has no service {service} any more, it is ignored: {advice}"
            elif advice:
                yield f"DevStack itself has no service {service}: {advice}"
    if name not in dropped.VARIABLES and sounds_secret(name) and isinstance(value, str):
        yield from _password_advice(value)


def _password_advice(value: str) -> Iterator[str]:
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    if "${env:" in bare or not bare or bare.startswith("$"):
        return
    if not _SAFE_PASSWORD.match(bare):
        yield ("DevStack puts it unquoted into URLs and commands: only letters, digits and . _ ~ "
               "- are safe, and no - at its beginning")


def _phase_advice(header: str) -> Iterator[str]:
    phase, file = header.strip("[]").split("|", 1)
    if phase not in _PHASES or (phase == "local" and file != "localrc"):
        yield (f"DevStack reads no section {header}, it is ignored: phases are "
               f"{', '.join(_PHASES[1:])}, and [[local|localrc]]")


def _eaten_quotes(key: str, value: Mapping[str, Any]) -> Iterator[Finding]:
    for section, options in value.items():
        for option, given in options.items() if isinstance(options, Mapping) else ():
            items = given if isinstance(given, (list, tuple)) else [given]
            if any(isinstance(item, str) and '"' in item for item in items):
                yield _path(key, section, option), (
                    "DevStack's reader of local.conf takes double quotes away; write the option "
                    "in a script by 'files' if it needs them")


def _text_warnings(
    text: str, path: str, plugins: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    plugins |= _text_plugins(text)
    for number, line in localrc_lines(text):
        match = ASSIGNED.match(line.strip())
        if match:
            for advice in _advice(match[1], match[3].strip(), plugins):
                yield path, f"line {number}: {advice}"
    for number, header in sections(text):
        if META.match(header):
            for advice in _phase_advice(header):
                yield path, f"line {number}: {advice}"


def _text_plugins(text: str) -> frozenset[str]:
    lines = (line.strip() for _, line in localrc_lines(text))
    return _plugin_names(
        line[len("enable_plugin"):].strip() for line in lines if line.startswith("enable_plugin ")
    )


def _plugin_names(plugins: Any) -> frozenset[str]:
    return frozenset(plugin.split()[0] for plugin in plugins if plugin.split())


def _place(config: str | Mapping[str, Any], name: str) -> str:
    """Where a variable is set: by its key, or in a text."""
    if isinstance(config, str):
        return _path()
    if name in config:
        return _path(name)
    inner = config.get(LOCALRC)
    return _path(LOCALRC, name) if isinstance(inner, Mapping) else _path(LOCALRC)


def _path(*keys: str) -> str:
    return path_text(("local_conf", *keys))
