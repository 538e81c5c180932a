"""One command a file; each has it as ``command``. Imported by :mod:`rally_deploy.cli.group`."""
