"""DevStack's local.conf: what a config says, over defaults, as text.

Rules: the variables of ``[[local|localrc]]`` are written as ``KEY=VALUE``, unquoted, so that
``$DEST/logs`` expands; a value that bash would not take as one word is put in double quotes, where
``$DEST`` expands too. ``true`` and ``false`` become ``True`` and ``False``. A value of null leaves
the key out, its default too. A config that is the whole file stays as it is; the defaults go to
the top of its localrc section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from rally_deploy.engines.devstack import dropped
from rally_deploy.engines.devstack.local_conf_text import (
    HEADER,
    LOCALRC,
    assigned,
    section_end,
    set_whatever_happens,
)
from rally_deploy.engines.devstack.words import Word, as_word, word

#: The variables of passwords, and by which name the whole tree of deployments shares them.
PASSWORDS = {
    "DATABASE_PASSWORD": "database_password", "RABBIT_PASSWORD": "rabbit_password",
    "SERVICE_PASSWORD": "service_password", "ADMIN_PASSWORD": "admin_password",
}

#: Keys of an object that are commands of DevStack's with names of services, in any case.
SERVICE_COMMANDS = ("enable_service", "disable_service")

#: A compute beside a controller, without and with an agent of its networks (DevStack's own way).
_FAKE_COMPUTE = "n-cpu,placement-client"
_COMPUTE = f"{_FAKE_COMPUTE},ovn-controller,ovs-vswitchd,ovsdb-server,q-ovn-metadata-agent"


class LocalConfBroken(ValueError):
    """A value that cannot stand in a local.conf; validation finds all that are written so."""


def standard_defaults(secret: Callable[[str], str]) -> dict[str, str]:
    """What every local.conf has unless the config says otherwise.

    :param secret: the password of a name, the same in the whole tree of deployments.
    """
    return {
        **{key: secret(name) for key, name in PASSWORDS.items()},
        "RECLONE": "yes",
        # Rally's was yes. Today that sends the services' logs past the journal, where they are
        # looked for when something fails, and installs a syslog server.
        "SYSLOG": "False",
        "LOGFILE": "$DEST/logs/stack.sh.log",
        "LOG_COLOR": "False",
    }


def compute_defaults(
    handed: Mapping[str, str], local_conf: str | Mapping[str, Any] = ""
) -> dict[str, str]:
    """What a node needs to be a compute of the controller whose values were handed on."""
    address = handed.get("controller_ip", "")
    if not address:
        return {}
    values = {
        "MULTI_HOST": "True", "SERVICE_HOST": address, "DATABASE_TYPE": "mysql",
        "MYSQL_HOST": address, "RABBIT_HOST": address, "Q_HOST": address,
        "GLANCE_HOSTPORT": f"{address}:9292",
    }
    for key, name in PASSWORDS.items():
        if handed.get(f"controller_{name}"):
            values[key] = handed[f"controller_{name}"]
    broker = urlsplit(handed.get("controller_transport_url", ""))
    if broker.username and broker.password:
        values["RABBIT_USERID"] = unquote(broker.username)
        values["RABBIT_PASSWORD"] = unquote(broker.password)
    if urlsplit(handed.get("controller_auth_url", "")).scheme == "https":
        values["SERVICE_PROTOCOL"] = "https"
    fake = variables(local_conf).get("VIRT_DRIVER", "").strip("\"'") == "fake"
    values["ENABLED_SERVICES"] = _FAKE_COMPUTE if fake else _COMPUTE
    return values


def render(
    local_conf: str | Mapping[str, Any], defaults: Mapping[str, str], *, git_base: str = ""
) -> str:
    """The whole local.conf. Raises LocalConfBroken, also for values that came at run time.

    :param defaults: variables under the config's own.
    :param git_base: where all of OpenStack's repositories are; empty: DevStack's own choice.
    """
    under = {**defaults, **({"GIT_BASE": git_base.rstrip("/")} if git_base else {})}
    if isinstance(local_conf, str):
        return _render_text(local_conf, under)
    return _render_object(local_conf, under)


def variables(local_conf: str | Mapping[str, Any]) -> dict[str, str]:
    """The variables of the localrc section as they are written there, the last value of each."""
    if isinstance(local_conf, str):
        return assigned(local_conf)
    plain = {
        key: _plain(key, value) for key, value in flat(local_conf).items()
        if value is not None and _is_scalar(value)
    }
    return {**plain, **assigned(localrc_text(local_conf))}


def flat(local_conf: Mapping[str, Any]) -> dict[str, Any]:
    """The variables alone: those of a ``[[local|localrc]]`` object too, without other sections."""
    found: dict[str, Any] = {}
    for key, value in local_conf.items():
        if key == LOCALRC and isinstance(value, Mapping):
            found.update(value)
        elif not key.startswith("[["):
            found[key] = value
    return found


def localrc_text(local_conf: Mapping[str, Any]) -> str:
    """The ``[[local|localrc]]`` of an object where that is text; else empty."""
    found = local_conf.get(LOCALRC)
    return found if isinstance(found, str) else ""


# An object


def _render_object(local_conf: Mapping[str, Any], defaults: Mapping[str, str]) -> str:
    mine, text = flat(local_conf), localrc_text(local_conf)
    set_here = set(mine) | set_whatever_happens(text)
    lines, commands = [LOCALRC], list[str]()
    lines += [_assignment(key, value) for key, value in defaults.items() if key not in set_here]
    for key, value in mine.items():
        if key.upper() == "ENABLE_PLUGIN":
            lines += [f"enable_plugin {_one_line(key, plugin)}" for plugin in plugins(value)]
        elif key.lower() in SERVICE_COMMANDS:
            commands += _service_command(key.lower(), value)
        elif key in ("ENABLED_SERVICES", "ENABLED_SERVICES+") and isinstance(value, str):
            lines += _services(key, value)
        elif value is not None and key not in dropped.VARIABLES:
            lines.append(_assignment(key, value))
    lines += text.strip("\n").splitlines()
    # An ENABLED_SERVICES below these would undo them.
    lines += [*_missing_client(local_conf), *commands]
    for key, value in local_conf.items():
        if key.startswith("[[") and key != LOCALRC:
            lines += ["", key, *_section(key, value)]
    return "\n".join(lines) + "\n"


def plugins(value: Any) -> list[str]:
    """The plugins of an ``ENABLE_PLUGIN``, in any of its forms."""
    if value is None or value == "":
        return []
    return [str(item).strip() for item in (value if isinstance(value, (list, tuple)) else [value])]


def services(value: Any) -> list[str]:
    """The names of an ``enable_service`` or ``disable_service``: a string, or a list."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return [
        name for item in items if item is not None
        for name in dropped.signed_services(str(item))
    ]


def _service_command(command: str, value: Any) -> list[str]:
    # To disable what is gone is right, to enable it is not.
    names = [
        name for name in services(value)
        if command == "disable_service" or name not in dropped.SERVICES
    ]
    return [f"{command} {' '.join(names)}"] if names else []


def _missing_client(local_conf: str | Mapping[str, Any]) -> list[str]:
    """A line for what tells Nova's compute of Placement, if that is enabled without it."""
    given = variables(local_conf)
    names = {
        name for key in ("ENABLED_SERVICES", "ENABLED_SERVICES+")
        for name in dropped.signed_services(given.get(key, ""))
    }
    told = {"placement-client", "placement-api", "-placement-client", "-n-cpu"}
    lacks = "n-cpu" in names and not told & names
    return ["ENABLED_SERVICES+=,placement-client"] if lacks else []


def _services(key: str, value: str) -> list[str]:
    kept = dropped.without_services(value)
    if kept.strip(", \t") or not value.strip(", \t"):
        return [_assignment(key, kept)]
    return [] if key.endswith("+") else [_assignment(key, "")]


def _assignment(key: str, value: Any) -> str:
    text = _plain(key, value)
    if word(text) not in (Word.ONE, Word.SPACED):
        raise LocalConfBroken(f"{key}: {word(text).value}")
    return f"{key}={as_word(text)}"


def _section(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value.strip("\n").splitlines()
        return
    for section, options in value.items():
        yield f"[{section}]"
        for option, given in options.items():
            for item in given if isinstance(given, (list, tuple)) else [given]:
                if item is not None:
                    text = _one_line(f"{name} [{section}] {option}", _plain(option, item))
                    yield f"{option} = {text}"


def _plain(key: str, value: Any) -> str:
    if not _is_scalar(value):
        raise LocalConfBroken(f"{key}: an object or a list is no value of a variable")
    return str(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _one_line(key: str, text: str) -> str:
    if "\n" in text or "\r" in text:
        raise LocalConfBroken(f"{key}: {Word.LINES.value}")
    return text


# A whole file


def _render_text(text: str, defaults: Mapping[str, str]) -> str:
    lines = text.splitlines()
    mine = set_whatever_happens(text)
    top = [_assignment(key, value) for key, value in defaults.items() if key not in mine]
    bottom = _missing_client(text)
    headers = [i for i, line in enumerate(lines) if HEADER.match(line)]
    first = next((i for i in headers if lines[i].split()[0] == LOCALRC), None)
    if first is None:
        inside, rest = (lines, []) if not headers else ([], ["", *lines])
        return "\n".join([LOCALRC, *top, *inside, *bottom, *rest]) + "\n"
    end = section_end(lines, first)
    new = [*lines[: first + 1], *top, *lines[first + 1: end], *bottom, *lines[end:]]
    return "\n".join(new) + "\n"
