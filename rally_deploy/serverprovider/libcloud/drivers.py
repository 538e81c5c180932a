"""libcloud's drivers: by their name in a config, made with its arguments."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from rally_deploy.config import sounds_secret
from rally_deploy.errors import PluginBroken

#: What teuthology's configs call the first two arguments of every driver.
_FIRST = ("username", "password")
#: Arguments that are secrets, though they do not sound like it.
_TOKENS = ("api_key", "credentials")
_VERSION = re.compile(r"/(?:v2\.0(?:/tokens)?|v3(?:/auth/tokens)?)?/?\Z")


def problem(name: str, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a driver's name and arguments, as (key, message)."""
    try:
        cls = driver_class(name)
    except PluginBroken as error:
        return "driver", error.brief
    try:
        inspect.signature(cls).bind(
            *positional(cls, arguments), **named(cls, arguments))
    except TypeError as error:
        return "driver_args", f"the driver {name} does not take these arguments: {error}"
    return None


def driver_class(name: str) -> type:
    """The class; raises PluginBroken if libcloud, or a driver of this name, is not there."""
    try:
        from libcloud.compute.providers import DRIVERS, get_driver
    except ImportError as error:
        raise PluginBroken(
            "LibcloudProvider needs apache-libcloud: pip install 'rally_deploy[libcloud]'",
            str(error), "install it",
        ) from error
    known = [str(getattr(key, "value", key)) for key in DRIVERS]
    wanted = name.lower()
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise PluginBroken(f"libcloud has no driver '{name}'{hint}")
    try:
        found: type = get_driver(wanted)
    except (AttributeError, ImportError, Exception) as error:
        # libcloud raises a plain Exception for drivers that it has dropped.
        raise PluginBroken(f"libcloud's driver '{name}' cannot be used: {error}") from error
    return found


def make(name: str, arguments: Mapping[str, Any]) -> Any:
    """A driver; most of them connect with their first call only."""
    cls = driver_class(name)
    return cls(*positional(cls, arguments), **named(cls, arguments))


def positional(cls: type, arguments: Mapping[str, Any]) -> list[Any]:
    return [arguments[key] for key in _FIRST if key in arguments and not _has(cls, key)]


def named(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        key: value for key, value in arguments.items() if key not in _FIRST or _has(cls, key)}
    return with_v3(found) if "ex_force_auth_url" in found else found


def with_v3(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """For Keystone's version 3, as there is no other any more, and as libcloud wants its address.

    libcloud itself adds the version's path.
    """
    return {
        **arguments,
        "ex_force_auth_url": _VERSION.sub("", arguments["ex_force_auth_url"]),
        "ex_force_auth_version": "3.x_password" if uses_v2(arguments)
        else arguments.get("ex_force_auth_version", "3.x_password"),
    }


def uses_v2(arguments: Mapping[str, Any]) -> bool:
    """Whether these name Keystone's version 2, which :func:`with_v3` replaces."""
    method = str(arguments.get("ex_force_auth_version", ""))
    return method.startswith("2.") or "/v2.0" in arguments.get("ex_force_auth_url", "")


def takes(cls: type, method: str, argument: str) -> bool:
    """Whether a driver's method has an argument of this name."""
    return argument in inspect.signature(getattr(cls, method)).parameters


def overrides(cls: type, method: str) -> bool:
    """Whether a driver has this method itself; libcloud's base has all, and raises in them."""
    from libcloud.compute.base import NodeDriver

    return getattr(cls, method, None) is not getattr(NodeDriver, method, None)


def fingerprint(name: str, arguments: Mapping[str, Any]) -> str:
    """Alike for the same cloud and account, whatever the password or token."""
    known = _identity(arguments)
    if _user(arguments):
        known["username"] = _user(arguments)
    return f"{name.lower()} {_digest(json.dumps(known, sort_keys=True))[:12]}"


def place(name: str, arguments: Mapping[str, Any]) -> str:
    """The cloud and whose account it is, for a person; without secrets."""
    said = [f"{key} {value}" for key, value in sorted(_identity(arguments).items())]
    account = arguments.get("username", "")
    if not account:
        # Keys are never shown, yet two accounts are two places.
        key = next((arguments[k] for k in ("key", *_TOKENS) if k in arguments), "")
        account = f"of key {_digest(str(key))[:6]}" if key else ""
    return ", ".join(filter(None, [f"libcloud {name.lower()} {account}".strip(), *said]))


def _identity(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the cloud and the part of it, in one spelling, but for the user."""
    if "ex_force_auth_url" in arguments:
        arguments = with_v3(arguments)
    return {
        key: value for key, value in arguments.items()
        if not sounds_secret(key) and key not in ("username", "key", *_TOKENS)
    }


def _user(arguments: Mapping[str, Any]) -> str:
    """Who logs in: a driver's first argument is that only if there is a second, the secret."""
    key = arguments.get("key", "") if "secret" in arguments else ""
    return str(arguments.get("username") or key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _has(cls: type, argument: str) -> bool:
    made = (vars(cls).get("__new__"), vars(cls).get("__init__"), cls)
    return any(argument in inspect.signature(call).parameters for call in made if call)
