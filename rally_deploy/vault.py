"""Encrypts what the database must not hold in clear. The key stays outside of the database."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rally_deploy import paths
from rally_deploy.errors import SecretsError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

VARIABLE = "RDEPLOY_KEY"


class Vault:
    """Encrypts and decrypts text. The key is read on first use, and made if there is none.

    :param key: 32 bytes as URL-safe base64; None: RDEPLOY_KEY, else the file ``key`` in the
        user's config folder.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._source = "the given key"
        self._fernet: Fernet | None = None

    def encrypt(self, text: str) -> str:
        return self._cipher(make=True).encrypt(text.encode()).decode()

    def decrypt(self, text: str) -> str:
        """The inverse of :meth:`encrypt`; SecretsError if it was another key."""
        from cryptography.fernet import InvalidToken

        # A new key could not decrypt anything: a missing one is not made here.
        cipher = self._cipher(make=False)
        try:
            return cipher.decrypt(text.encode()).decode()
        except InvalidToken as error:
            raise SecretsError(
                "the stored secrets cannot be decrypted",
                f"they were encrypted with another key than {self._source}",
                f"restore the key that was used when this database was filled: set {VARIABLE}, "
                f"or put it back as {_key_file()}",
            ) from error

    def _cipher(self, make: bool) -> Fernet:
        # Two threads may both come here at first: they read the same key.
        if self._fernet is None:
            from cryptography.fernet import Fernet

            key = self._key or self._from_environment() or self._from_file(make)
            try:
                self._fernet = Fernet(key)
            except ValueError as error:
                raise SecretsError(
                    f"{self._source} is not a key",
                    "a key is 32 random bytes as URL-safe base64, 44 characters",
                    "restore the key that was used when this database was filled; without any "
                    "stored deployments, remove it and a new one is made",
                ) from error
        return self._fernet

    def _from_environment(self) -> str:
        key = os.environ.get(VARIABLE, "").strip()
        if key:
            self._source = f"the one in {VARIABLE}"
        return key

    def _from_file(self, make: bool) -> str:
        path = _key_file()
        self._source = f"the one in {path}"
        try:
            try:
                return path.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                if not make:
                    raise
                _create(path)
            return path.read_text(encoding="ascii").strip()
        except UnicodeDecodeError as error:
            raise SecretsError(
                f"{path} is not a key", remedy="restore it from a backup"
            ) from error
        except OSError as error:
            raise SecretsError(
                f"the key of the stored secrets cannot be read: {error.strerror}",
                str(path),
                f"make that file and its folder yours, or give the key in {VARIABLE}",
            ) from error


def _key_file() -> Path:
    return paths.config_dir() / "key"


def _create(path: Path) -> None:
    """A new key, whole and on the disk before anybody sees it; the first of many wins."""
    from cryptography.fernet import Fernet

    handle, name = tempfile.mkstemp(prefix=".key.", dir=path.parent)  # its mode is 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)  # unlike rename, it never replaces
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        os.unlink(name)
