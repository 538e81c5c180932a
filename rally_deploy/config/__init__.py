"""Config: a file becomes a document, a document is validated, a block gets its final form.

Importing this is cheap: YAML and JSON schema are imported by what needs them.
"""

from rally_deploy.config.blocks import (
    mask_secrets,
    normalize,
    plugin_name,
    secret_values,
    sounds_secret,
)
from rally_deploy.config.cloud import cloud_result
from rally_deploy.config.document import Document, Position, path_text
from rally_deploy.config.parse import load, parse
from rally_deploy.config.strings import resolve_env, substitute, unset_env
from rally_deploy.config.validate import validate

__all__ = [
    "Document", "Position", "cloud_result", "load", "mask_secrets", "normalize", "parse",
    "path_text", "plugin_name", "resolve_env", "secret_values", "sounds_secret", "substitute",
    "unset_env", "validate",
]
