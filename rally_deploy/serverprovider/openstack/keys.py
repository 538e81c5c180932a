"""The SSH key of the servers: given as files, or made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rally_deploy.ssh import keys


@dataclass(frozen=True)
class LoginKey:
    """What the servers let in (``public``), and how we show that we have it."""

    public: str
    path: str | None = None
    private: str | None = field(default=None, repr=False)


def login_key(config: Mapping[str, Any], secret: Callable[[str, Callable[[], str]], str]
              ) -> LoginKey:
    """The key that the config names, else the deployment's own."""
    private, public = files(config)
    if private:
        return LoginKey(_public_text(private, public), path=str(private))
    own = secret("ssh_private_key", keys.make_private_key)
    return LoginKey(keys.public_key(own), private=own)


def files(config: Mapping[str, Any]) -> tuple[Path | None, Path | None]:
    """(private key file, public key file); each may follow from the other."""
    given = [config.get("ssh_private_key_file"), config.get("ssh_public_key_file")]
    private, public = (Path(os.path.abspath(os.path.expanduser(p))) if p else None for p in given)
    if public and not private:
        private = public.with_name(public.name.removesuffix(".pub"))
    if private and not public:
        beside = private.with_name(private.name + ".pub")
        public = beside if beside.is_file() else None
    return private, public


def key_problem(config: Mapping[str, Any], key: str) -> str:
    """What is wrong with the file that a key of the config names; empty if nothing is."""
    private, public = files(config)
    if private and not private.is_file():
        return f"there is no private key {private}; give it as 'ssh_private_key_file'"
    if private and not os.access(private, os.R_OK):
        return f"{private} must not be read by this user"
    if private and private == public:
        return "it has to end in .pub, or 'ssh_private_key_file' has to be given"
    try:
        if private:
            _public_text(private, public)
    except (OSError, ValueError, TypeError) as error:
        return f"its public key cannot be told: {error}"
    return ""


def _public_text(private: Path, public: Path | None) -> str:
    if public is None:
        return keys.public_key(private.read_text())
    text = public.read_text().strip()
    if len(text.splitlines()) != 1 or len(text.split()) < 2:
        raise ValueError(f"{public} is no public key of OpenSSH's form")
    return text
