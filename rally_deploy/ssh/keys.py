"""SSH key pairs made here: one for each deployment that makes its own machines."""

from __future__ import annotations


def make_private_key() -> str:
    """A new ed25519 private key as OpenSSH text, without a passphrase."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()


def public_key(private_key: str, comment: str = "") -> str:
    """The line for ``authorized_keys`` that belongs to a private key's text."""
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_ssh_private_key(private_key.encode(), password=None)
    line = loaded.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()
    return f"{line} {comment}".rstrip()
