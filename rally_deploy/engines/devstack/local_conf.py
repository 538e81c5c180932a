"""DevStack's local.conf: what a config says, over defaults, as text.

Rules: the variables of ``[[local|localrc]]`` are written as ``KEY=VALUE``, unquoted, so that
``$DEST/logs`` expands; a value that bash would not take as one word is put in double quotes, where
``$DEST`` expands too. ``true`` and ``false`` become ``True`` and ``False``. A value of null leaves
the key out, its default too. A config that is the whole file stays as it is; the defaults go to
the top of its localrc section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from rally_deploy.engines.devstack import dropped
from rally_deploy.engines.devstack.words import Word, as_word, word

LOCALRC = "[[local|localrc]]"
META = re.compile(r"\[\[[^\[\]|\s]+\|[^\[\]|\s]+\]\]\Z")
_HEADER = re.compile(r"^\[\[.+\|.*\]\]")
_ASSIGNED = re.compile(r"(?:export[ \t]+)?([A-Za-z_]\w*)(\+?)=(.*)")

#: The variables of passwords, and by which name the whole tree of deployments shares them.
PASSWORDS = {
    "DATABASE_PASSWORD": "database_password", "RABBIT_PASSWORD": "rabbit_password",
    "SERVICE_PASSWORD": "service_password", "ADMIN_PASSWORD": "admin_password",
}

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
    if not isinstance(local_conf, str):
        return {
            key: _plain(key, value) for key, value in flat(local_conf).items()
            if value is not None and _is_scalar(value)
        }
    found: dict[str, str] = {}
    for _, line in localrc_lines(local_conf):
        match = _ASSIGNED.match(line.strip())
        if match:
            found[match[1] + match[2]] = match[3].strip()
    return found


def localrc_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a whole file's localrc sections, each with its number, from 1.

    A file without any section is an old localrc: all of it.
    """
    lines = text.splitlines()
    inside = not any(_HEADER.match(line) for line in lines)
    for number, line in enumerate(lines, 1):
        if _HEADER.match(line):
            inside = line.split()[0] == LOCALRC
        elif inside:
            yield number, line


def section_end(lines: Sequence[str], header: int) -> int:
    """Where a line can be added at the end of the section whose header has this index."""
    following = (i for i in range(header + 1, len(lines)) if _HEADER.match(lines[i]))
    end = next(following, len(lines))
    while end > header + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def sections(text: str) -> Iterator[tuple[int, str]]:
    """The ``[[...|...]]`` headers of a whole file with their line numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("[["):
            yield number, line.rstrip()


def flat(local_conf: Mapping[str, Any]) -> dict[str, Any]:
    """The variables alone: those of a ``[[local|localrc]]`` object too, without other sections."""
    found: dict[str, Any] = {}
    for key, value in local_conf.items():
        if key == LOCALRC and isinstance(value, Mapping):
            found.update(value)
        elif not key.startswith("[["):
            found[key] = value
    return found


# An object


def _render_object(local_conf: Mapping[str, Any], defaults: Mapping[str, str]) -> str:
    mine = flat(local_conf)
    lines = [LOCALRC]
    lines += [_assignment(key, value) for key, value in defaults.items() if key not in mine]
    for key, value in mine.items():
        if key.upper() == "ENABLE_PLUGIN":
            lines += [f"enable_plugin {_one_line(key, plugin)}" for plugin in plugins(value)]
        elif key in ("ENABLED_SERVICES", "ENABLED_SERVICES+") and isinstance(value, str):
            lines += _services(key, value)
        elif value is not None and key not in dropped.VARIABLES:
            lines.append(_assignment(key, value))
    if _lacks_placement_client(mine.get("ENABLED_SERVICES"), mine.get("ENABLED_SERVICES+")):
        lines.append("ENABLED_SERVICES+=,placement-client")
    for key, value in local_conf.items():
        if key.startswith("[[") and key != LOCALRC:
            lines += ["", key, *_section(key, value)]
    return "\n".join(lines) + "\n"


def plugins(value: Any) -> list[str]:
    """The plugins of an ``ENABLE_PLUGIN``, in any of its forms."""
    if value is None or value == "":
        return []
    return [str(item).strip() for item in (value if isinstance(value, (list, tuple)) else [value])]


def _lacks_placement_client(*services: Any) -> bool:
    """Whether lists of services have Nova's compute without what tells it of Placement."""
    names = {
        name for given in services if isinstance(given, str)
        for name in dropped.signed_services(given)
    }
    told = {"placement-client", "placement-api", "-placement-client", "-n-cpu"}
    return "n-cpu" in names and not told & names


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
    # What is set inside of an "if" may be unset after all, so that its default stays.
    mine = {
        match[1] for _, line in localrc_lines(text)
        if (match := _ASSIGNED.match(line)) and not match[2]
    }
    top = [_assignment(key, value) for key, value in defaults.items() if key not in mine]
    given = variables(text)
    lacks = _lacks_placement_client(given.get("ENABLED_SERVICES"), given.get("ENABLED_SERVICES+"))
    bottom = ["ENABLED_SERVICES+=,placement-client"] if lacks else []
    headers = [i for i, line in enumerate(lines) if _HEADER.match(line)]
    first = next((i for i in headers if lines[i].split()[0] == LOCALRC), None)
    if first is None:
        inside, rest = (lines, []) if not headers else ([], ["", *lines])
        return "\n".join([LOCALRC, *top, *inside, *bottom, *rest]) + "\n"
    end = section_end(lines, first)
    new = [*lines[: first + 1], *top, *lines[first + 1: end], *bottom, *lines[end:]]
    return "\n".join(new) + "\n"
