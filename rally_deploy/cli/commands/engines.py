"""``rdeploy engines``."""

from rally_deploy.cli.plugin_commands import plugin_group

command = plugin_group("engine")
