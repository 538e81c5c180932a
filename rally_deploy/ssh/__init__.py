"""Shells on servers: over SSH (paramiko) or on this machine, behind one interface.

The only package that imports paramiko.
"""

from rally_deploy.ssh.base import HostKeys, Observer, Result, Shell

__all__ = ["HostKeys", "Observer", "Result", "Shell"]
