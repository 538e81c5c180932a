"""Shells on servers: over SSH (paramiko) or on this machine, behind one interface.

The only package that imports paramiko, and it does so for the first server that needs it.
"""

from rally_deploy.ssh.base import HostKeys, Observer, Result, Shell
from rally_deploy.ssh.local import LocalShell
from rally_deploy.ssh.pool import Pool

__all__ = ["HostKeys", "LocalShell", "Observer", "Pool", "Result", "Shell"]
