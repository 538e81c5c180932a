"""Key pairs made here: of SSH for machines that a deployment makes, of WireGuard for tunnels."""

from __future__ import annotations

import base64


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


def make_wireguard_key() -> str:
    """A new WireGuard private key, in its usual base64."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def wireguard_public_key(private_key: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
