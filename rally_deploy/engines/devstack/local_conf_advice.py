"""What in a local_conf has no effect any more or not the one that is meant, and what to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rally_deploy.config import sounds_secret
from rally_deploy.engines.devstack import dropped, local_conf
from rally_deploy.engines.devstack.local_conf_check import Finding, each_variable, place
from rally_deploy.engines.devstack.local_conf_text import (
    ASSIGNED,
    LOCALRC,
    META,
    localrc_lines,
    sections,
)

_SAFE_PASSWORD = re.compile(r"[A-Za-z0-9_.~][A-Za-z0-9_.~-]*\Z")
_PHASES = ("local", "post-config", "extra", "post-extra", "test-config")


def warnings(config: str | Mapping[str, Any]) -> Iterator[Finding]:
    """What has no effect any more, and what to write instead; passwords that DevStack spoils."""
    if isinstance(config, str):
        yield from _text_warnings(config, "local_conf")
        return
    plugins = _plugin_names(
        plugin for _, key, value in each_variable(config) if key.upper() == "ENABLE_PLUGIN"
        for plugin in local_conf.plugins(value)
    ) | _text_plugins(local_conf.localrc_text(config))
    for path, key, value in each_variable(config):
        for advice in _advice(key, value, plugins):
            yield path, advice
    yield from _text_warnings(local_conf.localrc_text(config), place(LOCALRC), plugins)
    for key, value in config.items():
        if META.match(key):
            yield from ((place(key), advice) for advice in _phase_advice(key))
            if isinstance(value, Mapping):
                yield from _eaten_quotes(key, value)


def _advice(key: str, value: Any, plugins: frozenset[str]) -> Iterator[str]:
    name, text = key.rstrip("+"), str(value)
    bare = text.strip("\"'")
    if name in dropped.VARIABLES:
        yield f"DevStack has no {name} any more, it is ignored: {dropped.VARIABLES[name]}"
    gone = dropped.VALUES.get(name, {}).get(bare)
    if gone:
        yield f"DevStack has no {name}={text} any more: {gone}"
    if name == "ENABLED_SERVICES" and isinstance(value, str):
        yield from _service_advice(dropped.services_of(value), plugins)
    elif key.lower() == "enable_service":
        yield from _service_advice(local_conf.services(value), plugins)
    if key == "ENABLED_SERVICES+" and re.match(r"[\w-]", bare):
        yield ("without a comma before it, it is joined to the name that the list ends with: "
               f"write ,{bare}")
    if name not in dropped.VARIABLES and sounds_secret(name) and isinstance(value, str):
        yield from _password_advice(value)


def _service_advice(names: Iterable[str], plugins: frozenset[str]) -> Iterator[str]:
    for service in dict.fromkeys(names):
        advice = dropped.service_advice(service, plugins)
        if service in dropped.SERVICES:
            yield f"DevStack has no service {service} any more, it is ignored: {advice}"
        elif advice:
            yield f"DevStack itself has no service {service}: {advice}"


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
                yield place(key, section, option), (
                    "DevStack's reader of local.conf takes double quotes away; write the option "
                    "in a script by 'files' if it needs them")


def _text_warnings(
    text: str, path: str, plugins: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    plugins |= _text_plugins(text)
    for number, line in localrc_lines(text):
        match = ASSIGNED.match(line.strip())
        if match:
            found = _advice(match[1] + match[2], match[3].strip(), plugins)
            yield from ((path, f"line {number}: {advice}") for advice in found)
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
