"""Plugins for the tests of config: one that nests all that can be nested, and broken ones."""

from rally_deploy.engines.base import DeployEngine
from rally_deploy.errors import PluginBroken
from rally_deploy.testing.contract import TestRegistry

_PROVIDER = {"type": "object", "x-plugin": "provider", "description": "servers"}


class TreeEngine(DeployEngine):
    """An engine with every kind of nested block."""

    CONFIG_SCHEMA = {
        "type": "object",
        "required": ["type", "provider"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "TreeEngine"},
            "provider": _PROVIDER,
            "controller": {"type": "object", "x-plugin": "engine", "description": "the first"},
            "inner": {
                "type": "object", "x-plugin": "engine", "x-plugin-given": ["provider"],
                "description": "on our own servers",
            },
            "nodes": {
                "type": "array", "description": "the others",
                "items": {
                    "x-plugin": "engine", "x-plugin-placeholders": ["controller_ip"],
                    "x-plugin-keys": {
                        "count": {"type": "integer", "minimum": 1, "description": "how often"},
                    },
                },
            },
            "mode": {"enum": ["fake", "qemu", "kvm"], "default": "fake", "description": "guests"},
            "address": {"type": "string", "pattern": "^[0-9.]+$", "description": "IPv4"},
            "settings": {
                "type": "object", "x-alias": ["local_settings"], "description": "anything",
                "properties": {"limit": {"type": "integer", "description": "at most"}},
            },
        },
        "examples": [{"type": "TreeEngine", "provider": {"type": "ExistingServers"}}],
    }

    @classmethod
    def check_config(cls, config):
        assert config["mode"], "defaults are set when this is called"
        if config.get("settings", {}).get("size") == 3:
            yield "settings.size", "3 is too small"

    def deploy(self):
        raise NotImplementedError


class BadSchemaEngine(TreeEngine):
    """Its schema is none."""

    CONFIG_SCHEMA = {"type": "object", "properties": {"type": {"type": "strong"}}}


class RaisingEngine(TreeEngine):
    """Its check fails."""

    CONFIG_SCHEMA = {
        "type": "object",
        "properties": {"type": {"type": "string"}, "password": {"type": "string"}},
    }

    @classmethod
    def check_config(cls, config):
        raise KeyError(config["password"])


class _Registry(TestRegistry):
    def provider(self, name):
        if name == "UnimportableProvider":
            raise PluginBroken("the provider UnimportableProvider is broken", "No module 'sdk'")
        return super().provider(name)


def registry():
    """The installed plugins and those of this module."""
    return _Registry(TreeEngine, BadSchemaEngine, RaisingEngine)
